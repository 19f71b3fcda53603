// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Destroy takes the deployment off every instance, desired or previous, that
// carries the plan's owner, and off nothing else. An instance that cannot be
// reached is an error, and then nothing is touched; one that was no longer
// desired is only a tombstone. The error is an [*Error].
func (e *Engine) Destroy(ctx context.Context, plan Plan) (Outcome, error) {
	r := newRun(e, plan)
	failed := r.destroy(ctx)
	return r.finish(), failed.orNil()
}

func (r *run) destroy(ctx context.Context) *Error {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if refused := r.enter(work, stop); refused != nil {
		return refused
	}
	defer r.lock.release(ctx)

	r.members = membersOf(r.plan.Desired, r.out.State, r.plan.Revision.ID)
	if refused := r.admitRemoval(work); refused != nil {
		return refused
	}
	doomed := r.doomed()
	if len(doomed) == 0 && r.bare() {
		return r.gone(ctx, work) // taking the lock may have made a beginning of something
	}
	if len(doomed) == 0 {
		r.out.Result, r.out.Gone = deployer.OutcomeSucceeded, len(r.out.Tombstones) == 0
		return nil
	}
	if failure := r.begin(work); failure != nil {
		return r.giveUp(ctx, work, []Failure{*failure})
	}
	previous := r.plan.Target
	if r.plan.Previous != nil {
		previous = *r.plan.Previous
	}
	done := r.began(string(StepRemove), idsOf(doomed)...)
	failures := each(doomed, func(m *member) *Failure {
		target := r.plan.Target
		if !m.found.Desired {
			target = previous
		}
		err := r.remove(work, target, m.ID, m.found.Opaque)
		if err == nil || err.Code == deployer.CodeInterrupted && work.Err() != nil {
			return nil
		}
		return &Failure{Instance: m.ID, Step: StepRemove, Err: err}
	})
	if done(firstError(failures)); len(failures) > 0 || work.Err() != nil {
		return r.giveUp(ctx, work, failures)
	}
	return r.gone(ctx, work)
}

// admitRemoval refuses before anything is touched.
func (r *run) admitRemoval(ctx context.Context) *Error {
	if !r.foreign(r.out.State.Owner) {
		if e := r.admitGeneration(ctx); e != nil {
			return e
		}
	}
	return r.admitReach()
}

// bare says that every instance was looked at and holds nothing of anybody.
func (r *run) bare() bool {
	for _, i := range r.out.State.Instances {
		if i.Unreachable != "" || i.Owner != "" || len(i.Slots) > 0 {
			return false
		}
	}
	return r.out.State.Owner == ""
}

// doomed are the instances that carry our mark.
func (r *run) doomed() []*member {
	var doomed []*member
	for _, i := range r.out.State.Instances {
		m := &member{DesiredInstance: deployer.DesiredInstance{ID: i.ID, Place: i.Place}, found: i}
		switch {
		case i.Unreachable != "":
			r.out.Tombstones = append(r.out.Tombstones, i.ID)
			r.warn(i.ID + " was no longer desired and cannot be reached (" + i.Unreachable + "): what runs there was left.")
		case r.foreign(i.Owner), i.Owner == "" && r.foreign(r.out.State.Owner):
			r.warn(i.ID + " belongs to another deployment now; it was left alone.")
		case i.Owner != "" || len(i.Slots) > 0:
			doomed = append(doomed, m)
		}
	}
	return doomed
}

// gone drops the rest, makes sure that nothing is left, and says so.
func (r *run) gone(ctx, work context.Context) *Error {
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	var failures []Failure
	if err := r.prune(own, true); err != nil {
		failures = append(failures, Failure{Instance: err.Instance, Step: StepPrune, Err: err})
	}
	if r.look(ctx) {
		for _, f := range r.leftovers(failures) {
			if f.Afterwards = false; !r.tombstone(f.Instance) {
				failures = append(failures, f)
			}
		}
	}
	failures = append(failures, r.out.Failures...)
	if len(failures) > 0 {
		return r.giveUp(ctx, work, failures)
	}
	r.out.Result, r.out.Gone = deployer.OutcomeSucceeded, len(r.out.Tombstones) == 0
	if !r.can(deployer.CanPrune) {
		r.end(ctx, "")
	} else if r.begun {
		r.tellEnd("") // the ledger is gone too
	}
	return nil
}

func (r *run) tombstone(id string) bool {
	for _, t := range r.out.Tombstones {
		if t == id {
			return true
		}
	}
	return false
}

// giveUp ends a removal that did not get through.
func (r *run) giveUp(ctx, work context.Context, failures []Failure) *Error {
	r.out.Failures = failures
	r.out.Result = deployer.OutcomeFailed
	why := ReasonFailed
	if len(failures) == 0 {
		if why = stopReason(work); why == ReasonCancelled {
			r.out.Result = deployer.OutcomeCancelled
		}
	}
	r.look(ctx)
	if _, lost := r.lock.held(); lost != nil {
		why = ReasonLockLost
	} else {
		r.end(ctx, r.headline(why))
	}
	return r.report(why, r.headline(why))
}
