// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"errors"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// errSibling ends the waiting of a batch in which another instance failed.
var errSibling = errors.New("another instance failed")

// Roll brings every desired instance to the plan's revision, and removes the
// instances that are no longer desired. When a step fails, what was switched is
// put back as the plan asks. A target on which everything is as planned is
// locked and inspected, and nothing is written to it.
//
// Cancelling the context stops at the next safe point; what must be done then
// has its own time. The error is an [*Error].
func (e *Engine) Roll(ctx context.Context, plan Plan) (Outcome, error) {
	r := newRun(e, plan)
	failed := r.roll(ctx)
	return r.finish(), failed.orNil()
}

func (r *run) roll(ctx context.Context) *Error {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if refused := r.enter(work, stop); refused != nil {
		return refused
	}
	defer r.lock.release(ctx)

	r.members = membersOf(r.plan.Desired, r.out.State, r.plan.Revision.ID)
	if refused := r.admit(work); refused != nil {
		return refused
	}
	r.cutOff = r.out.State.Unfinished != nil
	r.findLeaving()
	r.first = r.isFirst()
	pending := r.pending()
	if len(pending) == 0 && !r.canLeave() && r.ledgerAgrees() {
		r.out.Result = deployer.OutcomeSucceeded
		r.leave(work)
		r.trim(work)
		return nil
	}
	revision, failure := r.fetch(work, pending)
	if failure == nil {
		failure = r.begin(work)
	}
	if failure != nil {
		return r.fallBack(ctx, work, []Failure{*failure})
	}
	if failures := r.forward(work, pending, revision); len(failures) > 0 || work.Err() != nil {
		return r.fallBack(ctx, work, failures)
	}
	return r.succeed(ctx)
}

// enter takes the lock and looks.
func (r *run) enter(work context.Context, stop context.CancelCauseFunc) *Error {
	if err := r.lock.acquire(work, r.plan.LockTimeout, stop); err != nil {
		r.out.Failures = []Failure{{Instance: err.Instance, Step: StepAcquire, Err: err}}
		switch {
		case err.Code == deployer.CodeLocked:
			return r.report(ReasonLocked, "nothing was changed: the target is locked; "+holder(err))
		case work.Err() != nil:
			return r.report(stopReason(work), "nothing was changed: stopped while waiting for the lock")
		case err.Code == deployer.CodeUnreachable:
			return r.report(ReasonUnreachable, "nothing was changed: the target cannot be reached")
		}
		return r.report(ReasonFailed, "nothing was changed: the target could not be locked")
	}
	if seen := r.lock.seen; seen != nil {
		r.lock.seen = nil
		r.saw(*seen)
	} else if err := r.inspect(work); err != nil {
		defer r.lock.release(work)
		r.out.Failures = []Failure{{Instance: err.Instance, Step: StepInspect, Err: err}}
		why := ReasonFailed
		if work.Err() != nil {
			why = stopReason(work)
		}
		return r.report(why, "nothing was changed: what runs could not be seen")
	}
	r.out.Generation = max(r.plan.Generation, r.out.State.Generation)
	return nil
}

// pending are the members that have to be brought to the revision, in the order
// in which they are switched.
func (r *run) pending() []*member {
	r.waves = r.plan.Strategy.waves(len(r.members), pendingOf(r.members))
	r.out.Batches = batchesOf(r.waves)
	return r.named(slices.Concat(r.out.Batches...))
}

// isFirst says whether a failure leaves nothing worth going back to.
func (r *run) isFirst() bool {
	state := &r.out.State
	if state.LastGood != nil || r.plan.MayAdopt {
		return false
	}
	if r.plan.Operation.Kind == deployer.OperationCreate && r.can(deployer.CanRecord) {
		return true
	}
	return !slices.ContainsFunc(state.Instances, func(i deployer.Instance) bool {
		return i.Unreachable != "" || i.Serving() != nil
	})
}

// needsPrepare: a deployer without Prepare of its own gets the revision with
// it all the same, and keeps it for Activate.
func (r *run) needsPrepare(m *member) bool {
	return !m.found.Holds(r.plan.Revision.ID) || !r.can(deployer.CanPrepare)
}

// fetch gets the bytes if somebody needs them, before anything is written.
func (r *run) fetch(ctx context.Context, pending []*member) (deployer.Revision, *Failure) {
	revision := r.plan.Revision
	if r.plan.Artifact == nil || !slices.ContainsFunc(pending, r.needsPrepare) {
		return revision, nil
	}
	artifact, err := r.plan.Artifact(ctx)
	if err != nil {
		return revision, &Failure{Step: StepArtifact, Err: toError(err)}
	}
	revision.Artifact = artifact
	return revision, nil
}

// forward is the way to the new revision. It ends at the first trouble, but for
// what the strategy tolerates.
func (r *run) forward(ctx context.Context, pending []*member, revision deployer.Revision) []Failure {
	if failures := r.undrainCutOff(ctx); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	r.retireStrangers(ctx)
	if failures := r.prepareAll(ctx, pending, revision); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	if failures := r.task(ctx, StepBefore, r.plan.Tasks.Before, pending); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	shares := r.plan.Strategy.shares()
	failures := []Failure(nil)
	if shares != nil && r.stages() {
		failures = r.beside(ctx, pending, r.waves, shares)
	} else {
		failures = r.inWaves(ctx, pending)
	}
	if len(failures) > 0 || ctx.Err() != nil || len(pending) == 0 {
		return failures
	}
	brought := slices.DeleteFunc(slices.Clone(pending), func(m *member) bool { return m.gaveUp })
	if failures := r.confirm(ctx, brought); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	if failures := r.task(ctx, StepAfter, r.plan.Tasks.After, brought); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	if failures := r.analyze(ctx, Gate{Instances: idsOf(brought), Last: true}); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	if r.completed = true; len(r.tolerated) > 0 {
		return r.tolerated
	}
	if shares != nil {
		each(pending, func(m *member) *Failure {
			r.retireOld(ctx, m, revision.ID)
			return nil
		})
	}
	return nil
}

// prepareAll brings the revision to every instance that needs it. The first
// failure ends the others: nothing is switched anyway.
func (r *run) prepareAll(ctx context.Context, pending []*member, revision deployer.Revision) []Failure {
	together, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	lacking := slices.DeleteFunc(slices.Clone(pending), func(m *member) bool { return !r.needsPrepare(m) })
	if len(lacking) == 0 {
		return nil
	}
	done := r.began(string(StepPrepare), idsOf(lacking)...)
	failures := each(lacking, func(m *member) *Failure {
		return r.outcome(together, stop, m, StepPrepare, r.prepare(together, m, revision))
	})
	done(firstError(failures))
	return failures
}

// inWaves switches wave after wave.
func (r *run) inWaves(ctx context.Context, pending []*member) []Failure {
	for _, w := range r.waves {
		if ctx.Err() != nil {
			return nil
		}
		if failures := r.switchWave(ctx, r.named(w.ids)); len(failures) > 0 || ctx.Err() != nil {
			return failures
		}
		if failures := r.pass(ctx, w.gate, pending); len(failures) > 0 {
			return failures
		}
	}
	return nil
}

// switchWave takes instances to the revision, all at once. A failure within what
// the strategy tolerates is put back by itself, and does not end the others.
func (r *run) switchWave(ctx context.Context, members []*member) []Failure {
	together, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	steps, most := r.path(), r.mostFailures()
	done := r.began("switch", idsOf(members)...)
	failures := each(members, func(m *member) *Failure {
		name, err := r.bring(together, m, r.plan.Revision.ID, steps)
		if err == nil || err.Code == deployer.CodeInterrupted && together.Err() != nil {
			return nil
		}
		r.mu.Lock()
		r.failed++
		tolerable := r.failed <= most && err.Code != deployer.CodeFenced && err.Code != deployer.CodePluginGone
		r.beyond = r.beyond || !tolerable
		r.mu.Unlock()
		if !tolerable {
			return r.outcome(together, stop, m, name, err)
		}
		m.gaveUp = true
		return &Failure{Instance: m.ID, Step: name, Err: err}
	})
	done(firstError(failures))
	if r.beyond || len(failures) == 0 {
		return failures
	}
	r.tolerated = append(r.tolerated, failures...)
	r.putBackTolerated(ctx, failures)
	return nil
}

// mostFailures is how many instances may fail before the rollout is given up:
// none where there is nothing good to stay on.
func (r *run) mostFailures() int {
	known := r.out.State.LastGood != nil || !r.can(deployer.CanRecord)
	if rolling, ok := r.plan.Strategy.(Rolling); ok && !r.first && known {
		return rolling.MaxFailures
	}
	return 0
}

// putBackTolerated returns instances that failed to what they ran, while the
// rollout goes on elsewhere.
func (r *run) putBackTolerated(ctx context.Context, failures []Failure) {
	if !r.plan.Revert.Automatic {
		return
	}
	r.recall(ctx, nil)
	for _, f := range failures {
		m := r.named([]string{f.Instance})[0]
		own, cancel := r.own(ctx, r.wayBack(1))
		if !m.switched {
			if m.drained && r.undrain(own, m, m.runs()) != nil {
				r.warn(m.ID + " was drained and could not be given its traffic back.")
			}
			cancel()
			continue
		}
		r.out.Reverted = append(r.out.Reverted, r.putBack(own, m, deployer.Instance{}))
		cancel()
	}
}

// outcome makes a failure of an error and ends the siblings. What was only
// stopped because something else ended the run is no failure of its own.
func (r *run) outcome(ctx context.Context, stop context.CancelCauseFunc, m *member, step Step, err *deployer.Error) *Failure {
	if err == nil || err.Code == deployer.CodeInterrupted && ctx.Err() != nil {
		return nil
	}
	stop(errSibling)
	return &Failure{Instance: m.ID, Step: step, Err: err}
}

// confirm makes sure of those who were switched before the last wave, and looks
// at a platform that can be between old and new; where Activate is atomic, what
// it and the health check said is the truth.
func (r *run) confirm(ctx context.Context, brought []*member) []Failure {
	last := r.waves[len(r.waves)-1].ids
	earlier := slices.DeleteFunc(slices.Clone(brought), func(m *member) bool { return slices.Contains(last, m.ID) })
	if failures := r.stillHealthy(ctx, earlier); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	if r.can(deployer.Atomic) {
		return nil
	}
	if err := r.inspect(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return []Failure{{Instance: err.Instance, Step: StepInspect, Err: err}}
	}
	now := membersOf(r.plan.Desired, r.out.State, r.plan.Revision.ID)
	var failures []Failure
	for _, m := range now {
		if r.named([]string{m.ID})[0].gaveUp {
			continue
		}
		if serving := m.found.Serving(); serving == nil || m.from != r.plan.Revision.ID || broken(serving.Health) || mixed(&m.found, r.plan.Revision.ID) {
			detail := ""
			if serving != nil && serving.Detail != "" {
				detail = ", " + serving.Detail
			}
			failures = append(failures, Failure{Instance: m.ID, Step: StepInspect, Err: deployer.Errorf(
				deployer.CodeFailed, "after every step had succeeded it runs %s%s", r.name(m.from), detail)})
		}
	}
	return failures
}

// named gives members by their ids, in the ids' order.
func (r *run) named(ids []string) []*member {
	byID := make(map[string]*member, len(r.members))
	for _, m := range r.members {
		byID[m.ID] = m
	}
	members := make([]*member, 0, len(ids))
	for _, id := range ids {
		members = append(members, byID[id])
	}
	return members
}

// stopReason says why the work was stopped.
func stopReason(work context.Context) Reason {
	switch cause := context.Cause(work); {
	case errors.Is(cause, errLockLost):
		return ReasonLockLost
	case errors.Is(cause, context.DeadlineExceeded):
		return ReasonTimeout
	}
	return ReasonCancelled
}
