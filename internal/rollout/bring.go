// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// A step does one thing to one instance on its way to a revision, and says what
// it was at when it failed.
type step struct {
	do func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error)
	// hook: on the way back its failure is told and does not hold up the rest.
	hook bool
}

// path is the way of one prepared instance to a revision; reverts use it too.
func (r *run) path() []step {
	enough := r.plan.Strategy.minHealthy()
	if !r.stages() {
		return []step{drain, activate, healthyFor(enough), undrain}
	}
	return []step{staged(0), drain, activate, healthyFor(enough), undrain, retireOthers}
}

// stages says whether a revision can run beside another one, and be stopped
// there.
func (r *run) stages() bool { return r.can(deployer.CanStage) && r.can(deployer.CanRetire) }

var (
	drain = step{hook: true, do: func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
		return StepDrain, r.drain(ctx, m, revision)
	}}
	activate = step{do: func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
		return StepActivate, r.activate(ctx, m, revision)
	}}
	undrain = step{hook: true, do: func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
		return StepUndrain, r.undrain(ctx, m, revision)
	}}
	retireOthers = step{do: func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
		r.retireOld(ctx, m, revision)
		return "", nil
	}}
)

// healthyFor waits until the revision is healthy, and has been for long enough.
func healthyFor(enough time.Duration) step {
	return step{do: func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
		err := r.awaitHealthy(ctx, m, revision, enough)
		m.healthy = err == nil
		return StepCheck, err
	}}
}

// staged runs the revision beside the one that serves until it is healthy. What
// serves already is not run a second time: activating it repairs it.
func staged(enough time.Duration) step {
	return step{do: func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
		if revision == r.plan.Revision.ID && m.from == revision {
			return "", nil
		}
		if err := r.stage(ctx, m, revision); err != nil {
			return StepStage, err
		}
		return StepCheck, r.awaitHealthy(ctx, m, revision, enough)
	}}
}

func (r *run) stage(ctx context.Context, m *member, revision string) *deployer.Error {
	return r.change(ctx, StepStage, m.ID, func(token string) error {
		m.staged = m.staged || revision == r.plan.Revision.ID
		safe, done := r.toSafePoint(ctx, safePointGrace)
		defer done()
		res, err := r.engine.Deployer.Stage(safe, deployer.StageRequest{
			Mutation: r.mutation(r.plan.Target, m.ID, token, m.opaque), RevisionID: revision,
		}, r.sink(StepStage, m.ID))
		m.keep(res)
		return err
	})
}

// retire stops a revision that no longer gets traffic. What cannot be stopped is
// a warning: the next apply finds it.
func (r *run) retire(ctx context.Context, m *member, revision string) {
	if !r.can(deployer.CanRetire) {
		return
	}
	err := r.change(ctx, StepRetire, m.ID, func(token string) error {
		safe, done := r.toSafePoint(ctx, safePointGrace)
		defer done()
		res, err := r.engine.Deployer.Retire(safe, deployer.RetireRequest{
			Mutation: r.mutation(r.plan.Target, m.ID, token, m.opaque), RevisionID: revision,
		}, r.sink(StepRetire, m.ID))
		m.keep(res)
		return err
	})
	if err != nil && (err.Code != deployer.CodeInterrupted || ctx.Err() == nil) {
		r.warn(m.ID + ": " + r.name(revision) + " gets no traffic, but could not be stopped: " + err.Message + ". The next apply tries again.")
	}
}

// retireOld stops what runs on an instance beside the revision that serves.
func (r *run) retireOld(ctx context.Context, m *member, revision string) {
	old := []string{m.from}
	for _, slot := range m.found.Slots {
		if slot.Role == deployer.RoleStaged {
			old = append(old, slot.Revision.ID)
		}
	}
	if m.staged {
		old = append(old, r.plan.Revision.ID)
	}
	slices.Sort(old)
	for _, id := range slices.Compact(old) {
		if id != "" && id != revision {
			r.retire(ctx, m, id)
		}
	}
	if revision != r.plan.Revision.ID {
		m.staged = false
	}
}

// retireStrangers stops what an earlier run staged and this one does not want,
// unless it gets traffic, or is the revision to go back to: that is stopped last.
func (r *run) retireStrangers(ctx context.Context) {
	each(r.members, func(m *member) *Failure {
		for _, slot := range m.found.Slots {
			good := r.out.State.LastGood
			wanted := slot.Revision.ID == r.plan.Revision.ID || slot.Share > 0 || good != nil && good.ID == slot.Revision.ID
			if slot.Role == deployer.RoleStaged && !wanted {
				r.retire(ctx, m, slot.Revision.ID)
			}
		}
		return nil
	})
}

// bring takes one instance through steps; the first that fails ends them.
func (r *run) bring(ctx context.Context, m *member, revision string, steps []step) (Step, *deployer.Error) {
	for _, s := range steps {
		if name, err := s.do(ctx, r, m, revision); err != nil {
			return name, err
		}
	}
	return "", nil
}
