// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollouttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// held is the fleet's one lock, with a lease at every place.
type held struct {
	token string
	req   deployer.AcquireRequest
	since time.Time
	until map[string]time.Time // by place
}

// runs says whether a lease has not ended anywhere.
func (h held) runs(now time.Time) bool {
	for _, until := range h.until {
		if now.Before(until) {
			return true
		}
	}
	return false
}

// Validate answers the configured instances.
func (f *Fleet) Validate(_ context.Context, req deployer.ValidateRequest) (deployer.Validation, error) {
	return deployer.Validation{Instances: Desired(req.Target)}, nil
}

// Inspect answers the truth.
func (f *Fleet) Inspect(ctx context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	var state deployer.TargetState
	err := f.do(ctx, Call{Method: "Inspect"}, func(Fault) error {
		f.readLedger(&state, places(&req.Target, req.Previous))
		desired := placesOf(&req.Target)
		for _, id := range slices.Sorted(maps.Keys(desired)) {
			state.Instances = append(state.Instances, f.instance(id, desired[id], true))
		}
		previous := placesOf(req.Previous)
		for _, id := range slices.Sorted(maps.Keys(previous)) {
			if desired[id] != previous[id] {
				state.Instances = append(state.Instances, f.instance(id, previous[id], false))
			}
		}
		return nil
	})
	return state, err
}

func (f *Fleet) instance(id, place string, desired bool) deployer.Instance {
	h := f.host(place)
	i := deployer.Instance{ID: id, Scope: "fleet", Desired: desired, Address: place, Place: place, Unreachable: h.unreachable}
	if h.unreachable != "" {
		return i
	}
	i.Owner, i.Drift = h.owner, slices.Clone(h.drift)
	kept := slices.Clone(h.held)
	if h.serving != "" && !slices.ContainsFunc(kept, func(r deployer.RevisionInfo) bool { return r.ID == h.serving }) {
		kept = append(kept, Revision(h.serving).RevisionInfo) // what serves was deleted
		h.incomplete[h.serving] = true
	}
	for _, info := range slices.Backward(kept) {
		slot := deployer.Slot{Role: deployer.RoleRetired, Revision: info, Incomplete: h.incomplete[info.ID]}
		if info.ID == h.serving {
			slot.Role, slot.Health, slot.Share, slot.Since = deployer.RoleServing, h.health, 1000, h.since
		} else if _, beside := h.staged[info.ID]; beside {
			slot.Role, slot.Health = deployer.RoleStaged, deployer.HealthHealthy
		}
		if f.shares != nil && slot.Role != deployer.RoleRetired {
			slot.Share = f.shares[info.ID]
		}
		i.Slots = append(i.Slots, slot)
	}
	if h.mixed != "" {
		i.Parts = []deployer.Part{{Name: "one", Revision: h.serving}, {Name: "two", Revision: h.mixed}}
	}
	return i
}

// Acquire takes the lock on every place that can be reached, or names its holder.
func (f *Fleet) Acquire(ctx context.Context, req deployer.AcquireRequest) (deployer.Lock, error) {
	var lock deployer.Lock
	err := f.do(ctx, Call{Method: "Acquire"}, func(Fault) error {
		if f.lock.runs(f.now()) {
			return &deployer.Error{Code: deployer.CodeLocked, Message: "the target is locked", Holder: &deployer.Holder{
				Actor: f.lock.req.Operation.Actor, Operation: f.lock.req.Operation, Since: f.lock.since,
			}}
		}
		f.locks++
		f.lock = held{token: fmt.Sprintf("token-%d", f.locks), req: req, since: f.now(), until: map[string]time.Time{}}
		for _, place := range places(&req.Target, req.Previous) {
			if f.host(place).unreachable == "" {
				f.lock.until[place] = f.now().Add(req.Lease)
			}
		}
		lock.Token = f.lock.token
		return nil
	})
	return lock, err
}

// Renew extends the lease on every place that can be reached, also where it ran
// out and nobody took the lock since. The error names one of the others; it
// names none when no place could be reached.
func (f *Fleet) Renew(ctx context.Context, req deployer.RenewRequest) error {
	return f.do(ctx, Call{Method: "Renew", Token: req.Token}, func(Fault) error {
		if f.lock.token != req.Token {
			return lost()
		}
		renewed := false
		var cut *deployer.Error
		for place := range f.lock.until {
			if why := f.host(place).unreachable; why != "" {
				cut = &deployer.Error{Code: deployer.CodeUnreachable, Instance: idAt(place, &req.Target, req.Previous), Message: why}
				continue
			}
			f.lock.until[place] = f.now().Add(req.Lease)
			renewed = true
		}
		switch {
		case cut == nil:
			return nil
		case !renewed:
			cut.Instance = ""
		}
		return cut
	})
}

// Release gives the lock back.
func (f *Fleet) Release(ctx context.Context, req deployer.ReleaseRequest) error {
	return f.do(ctx, Call{Method: "Release", Token: req.Token}, func(Fault) error {
		if f.lock.token == req.Token {
			f.lock = held{}
		}
		return nil
	})
}

// Steal takes the lock away from whoever has it.
func (f *Fleet) Steal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lock = held{}
}

func (f *Fleet) fenced(place, token string) error {
	if f.can(deployer.CanLock) && (f.lock.token != token || !f.now().Before(f.lock.until[place])) {
		return lost()
	}
	return nil
}

func lost() error { return deployer.Errorf(deployer.CodeFenced, "somebody else took the lock") }

// reach finds the place of a mutation, which must have the newest token.
func (f *Fleet) reach(m deployer.Mutation) (*host, error) {
	place := placesOf(&m.Target)[m.Instance]
	h := f.host(place)
	if h.unreachable != "" {
		return nil, &deployer.Error{Code: deployer.CodeUnreachable, Instance: m.Instance, Message: h.unreachable}
	}
	if err := f.fenced(place, m.Token); err != nil {
		return nil, err
	}
	if h.owner != "" && h.owner != m.Owner {
		return nil, deployer.Errorf(deployer.CodeNotOwner, "%s belongs to another deployment", m.Instance)
	}
	return h, nil
}

// Prepare keeps the revision.
func (f *Fleet) Prepare(ctx context.Context, req deployer.PrepareRequest, events deployer.EventSink) (deployer.Result, error) {
	var res deployer.Result
	err := f.do(ctx, Call{Method: "Prepare", Instance: req.Instance, Revision: req.Revision.ID, Token: req.Token}, func(Fault) error {
		h, err := f.reach(req.Mutation)
		if err != nil {
			return err
		}
		h.hold(req.Revision.RevisionInfo)
		res = deployer.Result{Runs: h.serving, Changed: true}
		return nil
	})
	if err == nil {
		events(deployer.Event{Instance: req.Instance, Phase: "upload", Done: 1, Total: 1})
	}
	return res, err
}

// Activate switches to a revision that is held.
func (f *Fleet) Activate(ctx context.Context, req deployer.ActivateRequest, _ deployer.EventSink) (deployer.Result, error) {
	var res deployer.Result
	err := f.do(ctx, Call{Method: "Activate", Instance: req.Instance, Revision: req.RevisionID, Token: req.Token}, func(fault Fault) error {
		h, err := f.reach(req.Mutation)
		if err != nil {
			return err
		}
		if !h.holds(req.RevisionID) {
			return deployer.Errorf(deployer.CodeFailed, "revision %s is not there", req.RevisionID)
		}
		if f.out == nil {
			f.out = map[string]bool{}
		}
		f.out[req.Instance] = true
		f.maxOut = max(f.maxOut, len(f.out))
		if fault.Between {
			h.mixed = req.RevisionID
			return nil
		}
		res.Changed = h.serving != req.RevisionID
		if res.Changed {
			h.since = f.now()
			f.leave(req.Instance, h, req.RevisionID)
		}
		h.serving, h.mixed, h.health, h.drift, h.checks = req.RevisionID, "", deployer.HealthHealthy, nil, 0
		f.shares = nil
		f.changed(req.Instance, h)
		res.Runs = h.serving
		return nil
	})
	return res, err
}

// Check judges what serves.
func (f *Fleet) Check(ctx context.Context, req deployer.CheckRequest) (deployer.CheckResult, error) {
	var res deployer.CheckResult
	err := f.do(ctx, Call{Method: "Check", Instance: req.Instance, Revision: req.RevisionID}, func(Fault) error {
		h := f.host(placesOf(&req.Target)[req.Instance])
		h.checks++
		switch {
		case h.unreachable != "":
			return deployer.Errorf(deployer.CodeUnreachable, "%s", h.unreachable)
		case !h.runs(req.RevisionID) || h.mixed != "" && h.serving == req.RevisionID:
			res = deployer.CheckResult{Status: deployer.CheckFail, Reason: "something else serves"}
		case f.Health != nil:
			res = f.Health(req.Instance, req.RevisionID, h.checks)
		default:
			res = deployer.CheckResult{Status: deployer.CheckPass}
		}
		if res.Status == deployer.CheckPass {
			if _, beside := h.staged[req.RevisionID]; beside {
				h.staged[req.RevisionID] = true
			} else {
				delete(f.out, req.Instance)
			}
		}
		return nil
	})
	return res, err
}

// Remove takes everything off a place.
func (f *Fleet) Remove(ctx context.Context, req deployer.RemoveRequest, _ deployer.EventSink) (deployer.Result, error) {
	err := f.do(ctx, Call{Method: "Remove", Instance: req.Instance, Token: req.Token}, func(Fault) error {
		h, err := f.reach(req.Mutation)
		if err != nil {
			return err
		}
		*h = *newHost()
		delete(f.out, req.Instance)
		f.changed(req.Instance, h)
		return nil
	})
	return deployer.Result{Changed: true}, err
}

// Record appends to the ledger of every place that can be reached. The error
// names an instance of the target that could not.
func (f *Fleet) Record(ctx context.Context, req deployer.RecordRequest) error {
	call := Call{Method: "Record", Phase: req.Entry.Phase, Revision: req.Entry.To.ID, Token: req.Token}
	return f.do(ctx, call, func(Fault) error {
		var cut error
		for _, place := range places(&req.Target, req.Previous) {
			h := f.host(place)
			if h.unreachable != "" {
				if id := idAt(place, &req.Target); id != "" {
					cut = &deployer.Error{Code: deployer.CodeUnreachable, Instance: id, Message: h.unreachable}
				}
				continue
			}
			if err := f.fenced(place, req.Token); err != nil {
				return err
			}
			if slices.ContainsFunc(h.ledger, func(e deployer.Entry) bool { return e.Generation >= req.Entry.Generation }) {
				continue
			}
			h.owner = req.Entry.Owner
			h.ledger = append(h.ledger, req.Entry)
		}
		return cut
	})
}

// History merges the ledgers.
func (f *Fleet) History(ctx context.Context, req deployer.HistoryRequest) ([]deployer.Entry, error) {
	var entries []deployer.Entry
	err := f.do(ctx, Call{Method: "History"}, func(Fault) error {
		for _, place := range places(&req.Target, nil) {
			entries = append(entries, f.host(place).ledger...)
		}
		slices.SortStableFunc(entries, newestFirst)
		entries = slices.CompactFunc(entries, func(a, b deployer.Entry) bool { return a.Generation == b.Generation })
		if req.Limit > 0 && len(entries) > req.Limit {
			entries = entries[:req.Limit]
		}
		return nil
	})
	return entries, err
}

// readLedger fills in what the newest ledger says.
func (f *Fleet) readLedger(state *deployer.TargetState, at []string) {
	for _, place := range at {
		h := f.host(place)
		if h.unreachable != "" || len(h.ledger) == 0 {
			continue
		}
		if last := h.ledger[len(h.ledger)-1]; last.Generation > state.Generation {
			*state = deployer.TargetState{Owner: last.Owner, Generation: last.Generation}
			for _, e := range h.ledger {
				follow(state, e)
			}
		}
	}
}

// follow takes one entry into account.
func follow(state *deployer.TargetState, e deployer.Entry) {
	if e.Phase == deployer.PhaseBegin {
		op := e.Operation
		state.Unfinished = &op
		return
	}
	state.Unfinished = nil
	switch e.Outcome {
	case deployer.OutcomeSucceeded:
		info := e.To
		state.LastGood = &info
		state.Failed = slices.DeleteFunc(state.Failed, func(r deployer.FailedRevision) bool { return r.Revision.ID == info.ID })
	case deployer.OutcomeCancelled:
	default:
		state.Failed = append(state.Failed, deployer.FailedRevision{Revision: e.To, Reason: e.Reason, Operation: e.Operation.ID, Time: e.Time})
	}
}

// Prune applies retention.
func (f *Fleet) Prune(ctx context.Context, req deployer.PruneRequest) (deployer.PruneResult, error) {
	res := deployer.PruneResult{Removed: map[string][]string{}}
	err := f.do(ctx, Call{Method: "Prune", Token: req.Token}, func(Fault) error {
		var state deployer.TargetState
		f.readLedger(&state, places(&req.Target, nil))
		for id, place := range placesOf(&req.Target) {
			h := f.host(place)
			if h.unreachable != "" || h.owner != "" && h.owner != req.Owner {
				continue
			}
			if err := f.fenced(place, req.Token); err != nil {
				return err
			}
			over := len(h.held) - req.Keep
			for _, info := range slices.Clone(h.held) {
				good := state.LastGood != nil && state.LastGood.ID == info.ID
				if _, beside := h.staged[info.ID]; beside || info.ID == h.serving || !req.Everything && (good || over <= 0) {
					continue
				}
				over--
				h.drop(info.ID)
				res.Removed[id] = append(res.Removed[id], info.ID)
			}
			if req.Everything && h.serving == "" {
				h.ledger, h.owner = nil, ""
			}
		}
		return nil
	})
	return res, err
}
