// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// changeChecks are about Prepare, Activate and Remove.
var changeChecks = []check{
	{"Activate/serves_and_Inspect_says_so", nil, func(r *rig) {
		revision := r.deploy("r1", deployer.OutcomeSucceeded)
		r.serves("r1", "after Activate")
		for _, i := range r.inspect().Instances {
			s := i.Serving()
			if s == nil {
				continue
			}
			if s.Revision.ReleaseID != revision.ReleaseID || s.Revision.ArtifactDigest != revision.ArtifactDigest {
				r.Errorf("%s forgot of its revision: %+v", i.ID, s.Revision)
			}
			if len(i.Drift) != 0 {
				r.Errorf("%s drifts at once: %+v", i.ID, i.Drift)
			}
			if r.can(deployer.CanRecord) && i.Owner != r.owner {
				r.Errorf("%s is of owner %q, want %q", i.ID, i.Owner, r.owner)
			}
		}
	}},
	{"Activate/twice_is_once", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.lock()
		r.activate("r1")
		r.activate("r1")
		r.unlock()
		r.serves("r1", "after the third Activate")
	}},
	{"Activate/there_and_back", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.deploy("r2", deployer.OutcomeSucceeded)
		r.serves("r2", "after the second revision")
		held := true
		for _, i := range r.inspect().Instances {
			held = held && i.Holds("r1")
		}
		r.begin(deployer.OperationUpdate)
		r.lock()
		if !held { // as the engine does
			r.prepare(r.revision("r1"))
		}
		r.activate("r1")
		r.unlock()
		r.serves("r1", "after going back")
	}},
	{"Activate/unknown_revision_changes_nothing", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.lock()
		if _, err := r.activateOn(r.first(), "never-prepared"); err == nil {
			r.Error("it succeeded")
		}
		r.unlock()
		r.serves("r1", "after Activate of a revision that is not there")
	}},
	{"Activate/of_another_owner_is_refused", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		mine := r.owner
		r.owner = "somebody-else"
		r.begin(deployer.OperationUpdate)
		r.refused(r.tryUpdate("r2"), "an update of another owner", deployer.CodeNotOwner)
		r.owner = mine
		r.serves("r1", "after an update of another owner")
	}},
	{"Prepare/does_not_touch_what_runs", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.lock()
		r.prepare(r.revision("r2"))
		r.prepare(r.revision("r2"))
		r.serves("r1", "after Prepare of r2")
		if r.can(deployer.CanPrepare) {
			r.holds("r2", true, "after Prepare")
		}
		r.unlock()
	}},
	{"Prepare/wrong_digest_is_refused", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.lock()
		wrong := r.revision("r2")
		wrong.Artifact.Digest = "sha256:" + strings.Repeat("0", 64)
		wrong.ArtifactDigest = wrong.Artifact.Digest
		err := r.prepareOn(r.first(), wrong)
		if !r.can(deployer.CanPrepare) && err == nil {
			_, err = r.activateOn(r.first(), "r2")
		}
		if err == nil {
			r.Error("it was taken")
		}
		r.unlock()
		r.serves("r1", "after a wrong artifact")
		r.holds("r2", false, "after a wrong artifact")
	}},
	{"Remove/of_nothing_succeeds", nil, func(r *rig) {
		r.lock()
		r.remove()
		r.unlock()
		r.serves("", "after Remove of nothing")
	}},
	{"Remove/removes_and_twice_is_once", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationRemove)
		r.lock()
		r.remove()
		r.serves("", "after Remove")
		r.remove()
		r.unlock()
		r.empty("after Remove")
	}},
	{"Remove/leaves_what_is_anothers", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		mine := r.owner
		r.owner = "somebody-else"
		lock, err := r.acquire(r.deployer, r.operation, time.Minute)
		if err == nil {
			r.token = lock.Token
			_, err = r.deployer.Remove(r.ctx(), deployer.RemoveRequest{Mutation: r.mutation(r.first())}, nil)
		}
		if err != nil {
			r.refused(err, "Remove by another owner", deployer.CodeNotOwner)
		}
		r.owner = mine
		r.serves("r1", "after Remove by another owner")
	}},
	{"Process/what_runs_outlives_it", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.deployer = connect(r.T, r.config)
		r.serves("r1", "seen by another process")
		r.deploy("r2", deployer.OutcomeSucceeded)
		r.serves("r2", "after an update by another process")
	}},
	{"Cancel/stops_and_converges", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationUpdate)
		r.lock()
		r.prepare(r.revision("r2"))
		ctx, cancel := context.WithCancel(r.ctx())
		r.cancelled(cancel, func(events deployer.EventSink) error {
			_, err := r.deployer.Activate(ctx, deployer.ActivateRequest{Mutation: r.mutation(r.first()), RevisionID: "r2"}, events)
			return err
		})
		for _, i := range r.inspect().Instances {
			if s := i.Serving(); s != nil && s.Revision.ID != "r1" && s.Revision.ID != "r2" {
				r.Errorf("after a cancelled Activate %s serves %q", i.ID, s.Revision.ID)
			}
		}
		r.prepare(r.revision("r2"))
		r.activate("r2")
		r.unlock()
		r.serves("r2", "after Activate once more")
	}},
	{"Concurrency/instances_and_readers", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationUpdate)
		r.lock()
		revision := r.revision("r2")
		var wg sync.WaitGroup
		for _, i := range r.instances {
			wg.Go(func() {
				err := r.prepareOn(i.ID, revision)
				if err == nil {
					_, err = r.activateOn(i.ID, "r2")
				}
				if err != nil {
					r.Errorf("%s: %v", i.ID, err)
				}
			})
		}
		for range 4 {
			wg.Go(func() {
				if _, err := r.deployer.Inspect(r.ctx(), deployer.InspectRequest{Target: r.target}); err != nil {
					r.Errorf("Inspect meanwhile: %v", err)
				}
			})
		}
		wg.Wait()
		r.unlock()
		r.serves("r2", "after all at once")
	}},
}

// cancelled runs a call and cancels it at its first sign of life, or soon if it
// gives none; it has to end, as interrupted or having succeeded.
func (r *rig) cancelled(cancel context.CancelFunc, call func(deployer.EventSink) error) {
	r.Helper()
	var once sync.Once
	alive := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- call(func(deployer.Event) { once.Do(func() { close(alive) }) }) }()
	patience := time.NewTimer(100 * time.Millisecond)
	defer patience.Stop()
	select {
	case <-alive:
	case <-patience.C:
	case err := <-done:
		done <- err
	}
	cancel()
	if err := <-done; err != nil {
		r.refused(err, "a cancelled call", deployer.CodeInterrupted)
	}
}

// tryUpdate tries a whole update, and returns its first refusal.
func (r *rig) tryUpdate(id string) error {
	lock, err := r.acquire(r.deployer, r.operation, time.Minute)
	if err != nil {
		return err
	}
	r.token = lock.Token
	defer r.unlock()
	revision := r.revision(id)
	if r.can(deployer.CanRecord) {
		entry := r.entry(deployer.PhaseBegin, revision.RevisionInfo, "")
		err := r.deployer.Record(r.ctx(), deployer.RecordRequest{Target: r.target, Token: r.token, Entry: entry})
		if err != nil {
			return err
		}
	}
	if err := r.prepareOn(r.first(), revision); err != nil {
		return err
	}
	_, err = r.activateOn(r.first(), id)
	return err
}
