// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// recordTries: the ledger decides what the next run believes, so one lost
// packet shall not decide what the ledger says.
const recordTries = 3

// succeed ends a run in which every desired instance serves the revision and
// was seen healthy. It is no longer cancelled: what is left is short.
func (r *run) succeed(ctx context.Context) *Error {
	own, cancel := r.own(ctx, settleBudget+budget(len(r.leaving)))
	defer cancel()
	r.out.Result = deployer.OutcomeSucceeded
	r.arrived()
	doubt := r.leave(own)
	if failure := r.end(ctx, ""); failure != nil {
		r.out.Failures = append(r.out.Failures, *failure)
	}
	if _, lost := r.lock.held(); lost == nil {
		r.trim(own)
	}
	if len(r.out.Failures) == 0 {
		if doubt && r.inspect(own) == nil {
			r.buryTombstones()
		}
		return nil
	}
	if r.look(ctx) {
		r.buryTombstones()
	}
	why := ReasonFailed
	if _, lost := r.lock.held(); lost != nil {
		why = ReasonLockLost
	}
	return r.report(why, r.headline(why))
}

// begin records what is about to be done, and what each instance runs.
func (r *run) begin(ctx context.Context) *Failure {
	r.begun, r.out.Touched = true, true
	entry := r.entry(deployer.PhaseBegin)
	entry.From = r.runs()
	return r.record(ctx, entry, true)
}

// end records how it ended, with a time of its own.
func (r *run) end(ctx context.Context, reason string) *Failure {
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	entry := r.entry(deployer.PhaseEnd)
	entry.Outcome, entry.Reason = r.out.Result, reason
	if r.out.Inspected {
		entry.Runs = r.runs()
	}
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

func (r *run) entry(phase string) deployer.Entry {
	return deployer.Entry{
		Schema: deployer.EntrySchema, Phase: phase, Operation: r.plan.Operation,
		Environment: r.plan.Target.Environment, Deployment: r.plan.Target.Deployment,
		Owner: r.plan.Owner, Generation: r.out.Generation + 1, Time: r.clock.Now(),
		To: r.plan.Revision.RevisionInfo,
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

// prune applies retention.
func (r *run) prune(ctx context.Context, everything bool) *deployer.Error {
	if !r.can(deployer.CanPrune) {
		return nil
	}
	var gone deployer.PruneResult
	err := r.change(ctx, StepPrune, "", func(token string) (err error) {
		gone, err = r.engine.Deployer.Prune(ctx, deployer.PruneRequest{
			Target: r.plan.Target, Owner: r.plan.Owner, Token: token, Keep: r.plan.Keep, Everything: everything,
		})
		return err
	})
	if err != nil {
		return err
	}
	for n := range r.out.State.Instances {
		i := &r.out.State.Instances[n]
		if removed := gone.Removed[i.ID]; i.Desired && len(removed) > 0 {
			i.Slots = slices.DeleteFunc(slices.Clone(i.Slots), func(s deployer.Slot) bool {
				return s.Role == deployer.RoleRetired && slices.Contains(removed, s.Revision.ID)
			})
		}
	}
	return nil
}

// trim prunes when an instance keeps more than retention wants; a call that
// would remove nothing is not made.
func (r *run) trim(ctx context.Context) {
	crowded := func(i deployer.Instance) bool { return i.Desired && len(i.Slots) > r.plan.Keep }
	if !slices.ContainsFunc(r.out.State.Instances, crowded) {
		return
	}
	if err := r.prune(ctx, false); err != nil {
		r.warn("Old revisions could not be removed: " + err.Error() + ". The next apply tries again.")
	}
}

// findLeaving lists what the previous target has and the new one has not.
func (r *run) findLeaving() {
	for _, i := range r.out.State.Instances {
		switch {
		case i.Desired:
		case r.foreign(i.Owner) && !r.plan.MayAdopt:
			r.warn(i.ID + " is no longer desired here and belongs to another deployment now; it was left alone.")
		case i.Unreachable != "" || i.Owner != "" || len(i.Slots) > 0:
			r.leaving = append(r.leaving, i)
		}
	}
}

// canLeave says whether an instance that is no longer desired can be reached.
func (r *run) canLeave() bool {
	return slices.ContainsFunc(r.leaving, func(i deployer.Instance) bool { return i.Unreachable == "" })
}

// leave removes the instances that are no longer desired. It says whether it is
// in doubt what became of one.
func (r *run) leave(ctx context.Context) (doubt bool) {
	target := r.plan.Target
	if r.plan.Previous != nil {
		target = *r.plan.Previous
	}
	leaving := make([]*member, 0, len(r.leaving))
	for _, i := range r.leaving {
		leaving = append(leaving, &member{DesiredInstance: deployer.DesiredInstance{ID: i.ID, Place: i.Place}, found: i})
	}
	failures := each(leaving, func(m *member) *Failure {
		if m.found.Unreachable != "" {
			return &Failure{Instance: m.ID, Step: StepInspect, Err: deployer.Errorf(deployer.CodeUnreachable, "%s", m.found.Unreachable)}
		}
		if err := r.remove(ctx, target, m.ID, m.found.Opaque); err != nil {
			return &Failure{Instance: m.ID, Step: StepRemove, Err: err}
		}
		return nil
	})
	stays := map[string]bool{}
	for _, f := range failures {
		switch f.Err.Code {
		case deployer.CodeUnreachable, deployer.CodePluginGone:
			r.warn(fmt.Sprintf("%s is no longer desired, but could not be reached to take the deployment off it (%s). It is tried again at the next apply.", f.Instance, f.Err.Message))
		case deployer.CodeNotOwner:
			r.warn(f.Instance + " is no longer desired here and belongs to another deployment now; it was left alone.")
			continue
		default:
			r.out.Failures = append(r.out.Failures, f)
		}
		r.out.Tombstones = append(r.out.Tombstones, f.Instance)
		stays[f.Instance] = true
		doubt = doubt || f.Step == StepRemove
	}
	r.out.State.Instances = slices.DeleteFunc(slices.Clone(r.out.State.Instances), func(i deployer.Instance) bool {
		return !i.Desired && !stays[i.ID]
	})
	return doubt
}

// buryTombstones forgets instances whose removal failed, yet of which nothing
// is left.
func (r *run) buryTombstones() {
	r.out.Tombstones = slices.DeleteFunc(r.out.Tombstones, func(id string) bool {
		return !slices.ContainsFunc(r.out.State.Instances, func(i deployer.Instance) bool {
			return i.ID == id && !i.Desired && (i.Unreachable != "" || i.Owner != "" || len(i.Slots) > 0)
		})
	})
}

// arrived writes into the state what activations and health checks have shown,
// which saves another look.
func (r *run) arrived() {
	if !r.can(deployer.Atomic) {
		return // it was looked at
	}
	byID := map[string]*member{}
	for _, m := range r.members {
		byID[m.ID] = m
	}
	state := &r.out.State
	seen := map[string]bool{}
	for n := range state.Instances {
		if i := &state.Instances[n]; i.Desired && byID[i.ID] != nil {
			seen[i.ID] = true
			r.arrive(i, byID[i.ID])
		}
	}
	for _, m := range r.members {
		if !seen[m.ID] {
			i := m.found
			r.arrive(&i, m)
			state.Instances = append(state.Instances, i)
		}
	}
}

func (r *run) arrive(i *deployer.Instance, m *member) {
	i.Opaque = m.opaque
	if r.can(deployer.CanRecord) {
		i.Owner = r.plan.Owner
	}
	if !m.switched {
		return
	}
	slots := []deployer.Slot{{
		Role: deployer.RoleServing, Revision: r.plan.Revision.RevisionInfo,
		Health: deployer.HealthHealthy, Share: 1000, Since: r.clock.Now(),
	}}
	for _, slot := range i.Slots {
		switch {
		case slot.Revision.ID == r.plan.Revision.ID:
			slots[0].Revision, slots[0].Address = slot.Revision, slot.Address
			if slot.Role == deployer.RoleServing {
				slots[0].Since = slot.Since
			}
			continue
		case slot.Role == deployer.RoleServing:
			slot.Role, slot.Share, slot.Health, slot.Detail = deployer.RoleRetired, 0, "", ""
		}
		slots = append(slots, slot)
	}
	i.Slots, i.Drift, i.Parts = slots, nil, nil
}

// list joins ids for people, not too many of them.
func list(ids []string) string {
	const most = 20
	if len(ids) > most {
		return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return strings.Join(ids, ", ")
}
