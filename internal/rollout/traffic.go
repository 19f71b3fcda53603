// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"maps"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// allTraffic is the whole of a scope's traffic, in thousandths.
const allTraffic = 1000

// beside stages the revision everywhere, checks it, and then moves the traffic
// of each scope step by step. Every instance is activated when its scope has
// been moved, which makes the move last.
func (r *run) beside(ctx context.Context, pending []*member, waves []wave, shares []shareStep) []Failure {
	if failures := r.inParallel(ctx, "stage", pending, []step{staged(r.plan.Strategy.minHealthy())}); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	if failures := r.stillHealthy(ctx, pending); len(failures) > 0 || ctx.Err() != nil {
		return failures
	}
	replaces := slices.ContainsFunc(pending, func(m *member) bool { return r.replaces(m.Scope) })
	if r.can(deployer.CanShift) && replaces {
		for _, s := range append(shares, shareStep{thousandths: allTraffic}) {
			if failures := r.shiftAll(ctx, pending, s.thousandths); len(failures) > 0 || ctx.Err() != nil {
				return failures
			}
			if failures := r.pass(ctx, s.gate, pending); len(failures) > 0 || ctx.Err() != nil {
				return failures
			}
		}
	}
	for _, w := range waves {
		batch := r.named(w.ids)
		if failures := r.inParallel(ctx, "switch", batch, []step{activate, healthyFor(0)}); len(failures) > 0 || ctx.Err() != nil {
			return failures
		}
		if !replaces {
			continue // nothing is kept to go back to
		}
		if failures := r.pass(ctx, w.gate, pending); len(failures) > 0 || ctx.Err() != nil {
			return failures
		}
	}
	return nil
}

// inParallel takes all members through steps at once; the first failure ends
// the others.
func (r *run) inParallel(ctx context.Context, name string, members []*member, steps []step) []Failure {
	together, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := r.began(name, idsOf(members)...)
	failures := each(members, func(m *member) *Failure {
		name, err := r.bring(together, m, r.plan.Revision.ID, steps)
		return r.outcome(together, stop, m, name, err)
	})
	done(firstError(failures))
	return failures
}

// shiftAll gives the new revision a share of the traffic of every scope in which
// it is to replace another one, one scope after the other.
func (r *run) shiftAll(ctx context.Context, pending []*member, thousandths int) []Failure {
	scopes := map[string][]*member{}
	for _, m := range pending {
		scopes[m.Scope] = append(scopes[m.Scope], m)
	}
	for _, scope := range slices.Sorted(maps.Keys(scopes)) {
		if !r.replaces(scope) {
			continue // nothing gives its share up
		}
		old := r.servedBefore(scope)
		for _, m := range scopes[scope] {
			r.switching(m)
			m.healthy = false
		}
		r.shifted[scope] = old
		if err := r.shift(ctx, scope, map[string]int{r.plan.Revision.ID: thousandths, old: allTraffic - thousandths}); err != nil {
			if err.Code == deployer.CodeInterrupted && ctx.Err() != nil {
				return nil
			}
			return []Failure{{Step: StepShift, Err: err}}
		}
	}
	return nil
}

func (r *run) shift(ctx context.Context, scope string, shares map[string]int) *deployer.Error {
	maps.DeleteFunc(shares, func(_ string, share int) bool { return share == 0 })
	done := r.began("shift " + scope)
	err := r.change(ctx, StepShift, "", func(token string) error {
		safe, end := r.toSafePoint(ctx, safePointGrace)
		defer end()
		_, err := r.engine.Deployer.Shift(safe, deployer.ShiftRequest{
			Target: r.plan.Target, Scope: scope, Operation: r.plan.Operation,
			Owner: r.plan.Owner, Token: token, Shares: shares,
		})
		return err
	})
	done(err)
	return err
}

// replaces says whether something else has the traffic of a scope, or had it.
func (r *run) replaces(scope string) bool { return r.servedBefore(scope) != "" }

// servedBefore is the revision that the plan's one replaces in a scope: the last
// good one where it serves or still runs, else the one that most instances
// serve; where a run was cut off, what still has a share. "": nothing.
func (r *run) servedBefore(scope string) string {
	if old, known := r.shifted[scope]; known {
		return old
	}
	count, beside := map[string]int{}, map[string]int{}
	good := r.out.State.LastGood
	for _, m := range r.members {
		if m.Scope != scope {
			continue
		}
		if m.from != "" && m.from != r.plan.Revision.ID {
			count[m.from]++
		}
		for _, slot := range m.found.Slots {
			id := slot.Revision.ID
			if slot.Role == deployer.RoleStaged && id != r.plan.Revision.ID && (slot.Share > 0 || good != nil && good.ID == id) {
				beside[id]++
			}
		}
	}
	if len(count) == 0 {
		count = beside
	}
	if good != nil && count[good.ID] > 0 {
		return good.ID
	}
	most := ""
	for _, id := range slices.Sorted(maps.Keys(count)) {
		if count[id] > count[most] {
			most = id
		}
	}
	return most
}

// shiftBack gives all traffic back to what served before, the last scope first.
// Scopes of which that is not known to have worked stay in shifted.
func (r *run) shiftBack(ctx context.Context) {
	for _, scope := range slices.Backward(slices.Sorted(maps.Keys(r.shifted))) {
		if err := r.shift(ctx, scope, map[string]int{r.shifted[scope]: allTraffic}); err != nil {
			r.out.Failures = append(r.out.Failures, Failure{Step: StepShift, Err: err, Afterwards: true})
			r.stuck[scope] = err
			continue
		}
		delete(r.shifted, scope)
	}
}

func idsOf(members []*member) []string {
	ids := make([]string, 0, len(members))
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	return ids
}

func firstError(failures []Failure) *deployer.Error {
	if len(failures) == 0 {
		return nil
	}
	return failures[0].Err
}
