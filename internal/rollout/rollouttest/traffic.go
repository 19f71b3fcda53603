// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollouttest

import (
	"context"
	"maps"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// runs says whether a revision runs, with traffic or without.
func (h *host) runs(revision string) bool {
	_, beside := h.staged[revision]
	return beside || h.serving == revision
}

// leave makes what serves run beside what is about to serve, where the fleet can
// stage.
func (f *Fleet) leave(instance string, h *host, next string) {
	if f.can(deployer.CanStage) {
		if passed := h.staged[next]; !passed {
			f.rushed = append(f.rushed, instance)
		}
		if h.serving != "" {
			h.staged[h.serving] = true
		}
	}
	delete(h.staged, next)
}

// Stage runs a held revision beside what serves.
func (f *Fleet) Stage(ctx context.Context, req deployer.StageRequest, _ deployer.EventSink) (deployer.Result, error) {
	var res deployer.Result
	err := f.do(ctx, Call{Method: "Stage", Instance: req.Instance, Revision: req.RevisionID, Token: req.Token}, func(Fault) error {
		h, err := f.reach(req.Mutation)
		if err != nil {
			return err
		}
		if !f.can(deployer.CanStage) {
			return unsupported("stage")
		}
		if !h.holds(req.RevisionID) {
			return deployer.Errorf(deployer.CodeFailed, "revision %s is not there", req.RevisionID)
		}
		if !h.runs(req.RevisionID) {
			h.staged[req.RevisionID], h.checks = false, 0
		}
		res.Runs = h.serving
		return nil
	})
	return res, err
}

// Retire stops what runs beside what serves.
func (f *Fleet) Retire(ctx context.Context, req deployer.RetireRequest, _ deployer.EventSink) (deployer.Result, error) {
	var res deployer.Result
	err := f.do(ctx, Call{Method: "Retire", Instance: req.Instance, Revision: req.RevisionID, Token: req.Token}, func(Fault) error {
		h, err := f.reach(req.Mutation)
		if err != nil {
			return err
		}
		if h.serving == req.RevisionID {
			return deployer.Errorf(deployer.CodeFailed, "%s serves", req.RevisionID)
		}
		if f.shares[req.RevisionID] > 0 {
			f.starved = append(f.starved, req.Instance)
		}
		delete(h.staged, req.RevisionID)
		res.Runs = h.serving
		return nil
	})
	return res, err
}

// Shift shares the traffic. What gets most of it, serves.
func (f *Fleet) Shift(ctx context.Context, req deployer.ShiftRequest) (deployer.Result, error) {
	err := f.do(ctx, Call{Method: "Shift", Token: req.Token}, func(Fault) error {
		sum, top := 0, ""
		for _, id := range slices.Sorted(maps.Keys(req.Shares)) {
			if sum += req.Shares[id]; top == "" || req.Shares[id] > req.Shares[top] {
				top = id
			}
		}
		if sum != 1000 {
			return deployer.Errorf(deployer.CodeInvalid, "the shares add up to %d", sum)
		}
		for id, place := range placesOf(&req.Target) {
			h := f.host(place)
			if err := f.fenced(place, req.Token); err != nil {
				return err
			}
			for revision := range req.Shares {
				if passed, beside := h.staged[revision]; beside && !passed {
					f.rushed = append(f.rushed, id)
				}
			}
			if h.unreachable == "" && h.serving != top && h.runs(top) {
				f.leave(id, h, top)
				h.serving, h.health, h.since = top, deployer.HealthHealthy, f.now()
				f.changed(id, h)
			}
		}
		f.shares = maps.Clone(req.Shares)
		return nil
	})
	return deployer.Result{}, err
}

// Run runs nothing, and fails as scripted.
func (f *Fleet) Run(ctx context.Context, req deployer.RunRequest, _ deployer.EventSink) (deployer.RunResult, error) {
	call := Call{Method: "Run", Instance: req.Instance, Revision: req.RevisionID, Token: req.Token, Command: req.Command[len(req.Command)-1]}
	return deployer.RunResult{}, f.do(ctx, call, func(Fault) error {
		h, err := f.reach(req.Mutation)
		if err == nil && !h.holds(req.RevisionID) {
			err = deployer.Errorf(deployer.CodeFailed, "revision %s is not there", req.RevisionID)
		}
		return err
	})
}
