// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// An entry stays small enough to be read from every instance at every look: no
// more steps than mostSteps, each with no more names than mostNamed.
const (
	mostSteps = 400
	mostNamed = 50
)

// recordTries: the ledger decides what the next run believes, so one lost
// packet shall not decide what the ledger says.
const recordTries = 3

// begin records what is about to be done, and what each instance runs.
func (r *run) begin(ctx context.Context) *Failure {
	r.begun, r.out.Touched = true, true
	entry := r.entry(deployer.PhaseBegin)
	entry.From = r.runs()
	r.keepEntry(entry)
	return r.record(ctx, entry, true)
}

// end records how it ended, with a time of its own.
func (r *run) end(ctx context.Context, reason string) *Failure {
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	entry := r.tellEnd(reason)
	succeeded := r.out.Result == deployer.OutcomeSucceeded
	failure := r.record(own, entry, !succeeded)
	switch {
	case failure == nil:
	case failure.Err.Code != deployer.CodeFenced && r.look(ctx) && r.out.Generation >= entry.Generation:
		r.warn("How it ended is recorded, but not everywhere: " + failure.Err.Error() + ". The ledger there is behind until the next change.")
	case !succeeded:
		r.warn("How it ended could not be recorded: " + failure.Err.Error() + ". The next apply takes it for unfinished.")
		return failure
	default:
		return failure
	}
	if !r.can(deployer.CanRecord) {
		return nil
	}
	state := &r.out.State
	state.Unfinished, state.Generation, state.Owner = nil, entry.Generation, r.plan.Owner
	if succeeded {
		info := r.plan.Revision.RevisionInfo
		state.LastGood = &info
		state.Failed = slices.DeleteFunc(slices.Clone(state.Failed), func(f deployer.FailedRevision) bool { return f.Revision.ID == info.ID })
	}
	return nil
}

// tellEnd makes the entry of the end, and keeps it.
func (r *run) tellEnd(reason string) deployer.Entry {
	entry := r.entry(deployer.PhaseEnd)
	entry.Outcome, entry.Reason, entry.Steps = r.out.Result, reason, r.steps
	if r.out.Inspected {
		entry.Runs = r.runs()
	}
	r.keepEntry(entry)
	return entry
}

func (r *run) entry(phase string) deployer.Entry {
	strategy := r.plan.Strategy.Name()
	if r.plan.Operation.Kind == deployer.OperationRemove {
		strategy = ""
	}
	return deployer.Entry{
		Schema: deployer.EntrySchema, Phase: phase, Operation: r.plan.Operation,
		Environment: r.plan.Target.Environment, Deployment: r.plan.Target.Deployment,
		Owner: r.plan.Owner, Generation: r.out.Generation + 1, Time: r.clock.Now(),
		To: r.plan.Revision.RevisionInfo, Strategy: strategy,
	}
}

// keepEntry keeps an entry for whoever copies the ledger. There is one of each
// phase.
func (r *run) keepEntry(entry deployer.Entry) {
	r.out.Entries = append(slices.DeleteFunc(r.out.Entries, func(e deployer.Entry) bool { return e.Phase == entry.Phase }), entry)
}

// began notes in the story that a part of the operation begins, and gives what
// ends it.
func (r *run) began(name string, instances ...string) func(*deployer.Error) {
	begun := deployer.EntryStep{Name: name, Instances: instances, Started: r.clock.Now()}
	if len(instances) > mostNamed {
		begun.Instances = slices.Clip(instances[:mostNamed])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.steps) == mostSteps {
		return func(*deployer.Error) {}
	}
	n := len(r.steps)
	r.steps = append(r.steps, begun)
	return func(err *deployer.Error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.steps[n].Ended = r.clock.Now()
		if err != nil {
			r.steps[n].Error = err.Error()
		}
	}
}

// record appends to the ledger and advances the generation. The instances of
// the previous target get the entry too, unless they were just left.
func (r *run) record(ctx context.Context, entry deployer.Entry, previous bool) *Failure {
	if !r.can(deployer.CanRecord) {
		if entry.Phase == deployer.PhaseBegin {
			r.warn("This deployer keeps no ledger: there is no history, and no protection against another owner.")
		}
		return nil
	}
	req := deployer.RecordRequest{Target: r.plan.Target, Entry: entry}
	if previous {
		req.Previous = r.plan.Previous
	}
	r.recorded = entry.Generation
	var err *deployer.Error
	for try := range recordTries {
		err = r.change(ctx, StepRecord, "", func(token string) error {
			req.Token = token
			return r.engine.Deployer.Record(ctx, req)
		})
		if err == nil {
			r.out.Generation = entry.Generation
			return nil
		}
		if err.Code != deployer.CodeUnreachable && err.Code != deployer.CodeFailed || try == recordTries-1 || r.clock.Sleep(ctx, lockRetry) != nil {
			break
		}
	}
	return &Failure{Instance: err.Instance, Step: StepRecord, Err: err}
}

// catchUp advances the generation to what the ledger says, as far as this run
// wrote it: a record that failed may have reached some instances.
func (r *run) catchUp(ctx context.Context) {
	state := &r.out.State
	if state.Generation <= r.out.Generation || state.Generation > r.recorded {
		return
	}
	newest := state.Unfinished
	if newest == nil {
		entry := r.latest(ctx)
		if entry == nil {
			return
		}
		newest = &entry.Operation
	}
	if newest.ID == r.plan.Operation.ID {
		r.out.Generation = state.Generation
	}
}

// runs is what each instance was last seen to run.
func (r *run) runs() map[string]string {
	runs := map[string]string{}
	for n := range r.out.State.Instances {
		i := &r.out.State.Instances[n]
		if _, desired := runs[i.ID]; i.Unreachable != "" || desired {
			continue
		}
		runs[i.ID] = ""
		if serving := i.Serving(); serving != nil {
			runs[i.ID] = serving.Revision.ID
		}
	}
	return runs
}

// ledgerAgrees says whether the ledger already tells what is the case.
func (r *run) ledgerAgrees() bool {
	state := &r.out.State
	if !r.can(deployer.CanRecord) {
		return true
	}
	return state.Owner == r.plan.Owner && state.Unfinished == nil && state.LastGood != nil && state.LastGood.ID == r.plan.Revision.ID
}
