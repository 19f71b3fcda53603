// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// fallBack ends a run that did not get through: it looks at what is there,
// puts back what the plan asks for, records, and reports.
func (r *run) fallBack(ctx, work context.Context, failures []Failure) *Error {
	r.out.Failures = failures
	if !r.completed {
		r.out.Failures = append(slices.Clone(r.tolerated), failures...)
	}
	why := ReasonFailed
	if len(failures) == 0 {
		why = stopReason(work)
	}
	if _, lost := r.lock.held(); lost != nil {
		why = ReasonLockLost
		if len(failures) == 0 {
			r.out.Failures = []Failure{{Step: StepRenew, Err: lost}}
		}
	}
	if !r.begun {
		return r.report(why, "nothing was changed: "+r.headline(why))
	}
	r.out.Result = deployer.OutcomeFailed
	if why == ReasonCancelled {
		r.out.Result = deployer.OutcomeCancelled
	}
	if r.look(ctx) && r.pluginDied.Load() {
		r.regain(ctx)
	}
	if _, lost := r.lock.held(); lost != nil {
		if why != ReasonLockLost {
			r.out.Failures = append(r.out.Failures, Failure{Step: StepRenew, Err: lost, Afterwards: true})
		}
		r.warnDrained()
		return r.report(ReasonLockLost, r.headline(ReasonLockLost))
	}
	if why == ReasonLockLost {
		why = ReasonFailed // and regained
	}
	switch {
	case r.first:
		r.takeOff(ctx)
	case len(r.out.Switched) > 0 && r.wantsRevert(why):
		r.revert(ctx)
	}
	if _, lost := r.lock.held(); lost != nil {
		r.warnDrained()
		why = ReasonLockLost
	} else if !r.out.Gone {
		r.undrainRest(ctx)
		r.unstage(ctx)
		r.warnShifted()
		r.end(ctx, r.why(why))
	}
	return r.report(why, r.headline(why))
}

// mostReason bounds what the ledger keeps of a reason, in characters.
const mostReason = 500

// why is the reason that the ledger keeps: the headline, and what the first
// failure says.
func (r *run) why(why Reason) string {
	text := r.headline(why)
	if len(r.out.Failures) > 0 {
		text += ": " + clean(r.out.Failures[0].Err.Message)
	}
	if runes := []rune(text); len(runes) > mostReason {
		text = string(runes[:mostReason]) + "…"
	}
	return text
}

func (r *run) wantsRevert(why Reason) bool {
	if r.partly() {
		return false
	}
	if why == ReasonCancelled {
		return r.plan.Revert.OnCancel
	}
	return r.plan.Revert.Automatic
}

// partly says that the rollout went through, but for instances whose failure the
// strategy tolerates: those were put back by themselves.
func (r *run) partly() bool {
	return r.completed && len(r.tolerated) > 0
}

// unstage stops the plan's revision where it runs beside the one that serves.
func (r *run) unstage(ctx context.Context) {
	if !slices.ContainsFunc(r.members, func(m *member) bool { return m.staged }) || !r.out.Inspected {
		return
	}
	own, cancel := r.own(ctx, budget(len(r.members)))
	defer cancel()
	now := r.observed()
	each(r.members, func(m *member) *Failure {
		if _, moved := r.shifted[m.Scope]; moved {
			return nil // it may have traffic
		}
		i := now[m.ID]
		if serving := i.Serving(); m.staged && (serving == nil || serving.Revision.ID != r.plan.Revision.ID) {
			r.retire(own, m, r.plan.Revision.ID)
		}
		return nil
	})
}

// warnDrained tells of instances that are left without traffic, since nothing
// may be changed any more.
func (r *run) warnDrained() {
	for _, m := range r.members {
		if m.drained {
			r.warn(m.ID + " was drained and has not got its traffic back; the next apply gives it back.")
		}
	}
}

// warnShifted tells of traffic that stays shared.
func (r *run) warnShifted() {
	for scope, old := range r.shifted {
		r.warn("A part of the traffic of " + scope + " may go to " + r.name(r.plan.Revision.ID) + ", and the rest to " + r.name(old) + "; the next apply goes on from there.")
	}
}

// look inspects with a time of its own. What cannot be seen is a failure too.
func (r *run) look(ctx context.Context) bool {
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	err := r.inspect(own)
	if err != nil {
		r.out.Failures = append(r.out.Failures, Failure{Instance: err.Instance, Step: StepInspect, Err: err, Afterwards: true})
		return false
	}
	r.catchUp(own)
	return true
}

// regain gets the lock back after the plugin died, unless somebody else worked
// on the target meanwhile.
func (r *run) regain(ctx context.Context) {
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	before, _ := r.lock.held()
	r.lock.regain(own)
	after, lost := r.lock.held()
	if lost != nil || before == after {
		return
	}
	if r.look(ctx) && r.out.State.Generation > r.out.Generation {
		r.lock.lose(after, deployer.Errorf(deployer.CodeFenced, "another operation changed the target meanwhile"))
	}
}

// revert puts every switched instance back, the last batch first.
func (r *run) revert(ctx context.Context) {
	r.out.Result, r.out.Reverted = deployer.OutcomeReverted, nil
	since := r.clock.Now()
	done := r.began("revert", r.out.Switched...)
	defer func() { done(r.revertFailure()) }()
	if len(r.shifted) > 0 {
		own, cancel := r.own(ctx, r.revertBudget(since, settleBudget))
		r.shiftBack(own)
		cancel()
		r.look(ctx)
	}
	now := map[string]deployer.Instance{} // unknown: what was seen before is no reason to leave an instance alone
	if r.out.Inspected {
		now = r.observed()
	}
	r.recall(ctx, now)
	for _, batch := range slices.Backward(r.out.Batches) {
		var back []*member
		for _, m := range r.named(batch) {
			if m.switched {
				back = append(back, m)
			}
		}
		if len(back) == 0 {
			continue
		}
		slices.Reverse(back)
		done := make([]Reverted, len(back))
		index := make(map[*member]int, len(back))
		for n, m := range back {
			index[m] = n
		}
		own, cancel := r.own(ctx, r.revertBudget(since, r.wayBack(len(back))))
		each(back, func(m *member) *Failure {
			done[index[m]] = r.putBack(own, m, now[m.ID])
			return nil
		})
		cancel()
		r.out.Reverted = append(r.out.Reverted, done...)
	}
	if r.look(ctx) {
		r.verifyReverted()
	}
	for _, back := range r.out.Reverted {
		if back.Err != nil {
			r.out.Result = deployer.OutcomeRevertFailed
		}
	}
}

// putBack returns one instance to what it should run now: the last good
// revision, or else what it ran before; a newcomer runs nothing.
func (r *run) putBack(ctx context.Context, m *member, now deployer.Instance) Reverted {
	to := m.from
	if good := r.out.State.LastGood; good != nil && good.ID != r.plan.Revision.ID && m.holds(now, good.ID) {
		to = good.ID
	}
	back := Reverted{Instance: m.ID, To: to, Release: r.names[to]}
	switch to {
	case "":
		if err := r.drain(ctx, m, r.plan.Revision.ID); err != nil {
			r.warn(m.ID + " is taken off again, and could not be drained before: " + err.Message)
		}
		m.staged, m.drained = false, false
		back.Err = r.remove(ctx, r.plan.Target, m.ID, m.opaque)
		return back
	case r.plan.Revision.ID:
		back.Err = deployer.Errorf(deployer.CodeFailed, "it ran this revision before, and there is no other one to go back to")
		return back
	}
	steps := r.path()
	if serves(&now, to) {
		back.Unchanged = true
		steps = []step{healthyFor(r.plan.Strategy.minHealthy())}
		if m.drained {
			steps = append(steps, undrain)
		}
	}
	for _, s := range steps {
		name, err := s.do(ctx, r, m, to)
		switch {
		case err == nil:
		case s.hook:
			r.warn(fmt.Sprintf("%s: on the way back to %s, %s failed: %s", m.ID, r.name(to), name, err.Message))
		default:
			back.Err = err
			return back
		}
	}
	return back
}

// wayBack bounds putting n instances back: their switches, hooks and checks.
func (r *run) wayBack(n int) time.Duration {
	checks := time.Duration(1)
	if r.stages() {
		checks = 2
	}
	return budget(n) + checks*r.plan.Health.HealthyDeadline + r.plan.Hooks.Drain.timeout() + r.plan.Hooks.Undrain.timeout()
}

// revertBudget bounds a part of the way back, by what the plan leaves of the
// whole.
func (r *run) revertBudget(since time.Time, part time.Duration) time.Duration {
	if r.plan.Revert.Timeout <= 0 {
		return part
	}
	return max(0, min(part, r.plan.Revert.Timeout-r.clock.Now().Sub(since)))
}

// revertFailure is the first reason why an instance could not be put back.
func (r *run) revertFailure() *deployer.Error {
	for _, back := range r.out.Reverted {
		if back.Err != nil {
			return back.Err
		}
	}
	return nil
}

func (m *member) holds(now deployer.Instance, revision string) bool {
	return now.Holds(revision) || m.found.Holds(revision)
}

// recall finds out, for instances that an earlier run brought to this revision
// and did not finish, what they ran before that: the ledger knows.
func (r *run) recall(ctx context.Context, now map[string]deployer.Instance) {
	good := r.out.State.LastGood
	forgotten := func(m *member) bool {
		return m.switched && m.from == r.plan.Revision.ID && (good == nil || good.ID != m.from && !m.holds(now[m.ID], good.ID))
	}
	if !slices.ContainsFunc(r.members, forgotten) {
		return
	}
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	from := map[string]string{}
	for _, entry := range r.history(own, recallEntries) {
		if entry.Phase == deployer.PhaseEnd && (entry.Outcome == deployer.OutcomeSucceeded || entry.Outcome == deployer.OutcomeReverted) {
			break
		}
		if entry.Phase == deployer.PhaseBegin {
			maps.Copy(from, entry.From) // newest first: the oldest stays
		}
	}
	for _, m := range r.members {
		if before, ok := from[m.ID]; ok && forgotten(m) {
			m.from = before
		}
	}
}

// verifyReverted believes only what was observed.
func (r *run) verifyReverted() {
	now := r.observed()
	for n := range r.out.Reverted {
		back := &r.out.Reverted[n]
		i := now[back.Instance]
		runs := ""
		if serving := i.Serving(); serving != nil {
			runs = serving.Revision.ID
		}
		stuck := r.stuck[r.named([]string{back.Instance})[0].Scope]
		switch {
		case back.Err != nil:
		case stuck != nil:
			back.Err = stuck
		case i.Unreachable != "":
			back.Err = deployer.Errorf(deployer.CodeUnreachable, "it was put back, but cannot be reached any more: %s", i.Unreachable)
		case runs == back.To && runs != "" && mixed(&i, runs):
			back.Err = deployer.Errorf(deployer.CodeFailed, "it was put back, but a part of it is not: %s", partsText(i.Parts))
		case runs != back.To:
			back.Err = deployer.Errorf(deployer.CodeFailed, "it was put back, but runs %s", r.name(runs))
		}
	}
}

// observed are the desired instances as last inspected, by id.
func (r *run) observed() map[string]deployer.Instance {
	now := make(map[string]deployer.Instance, len(r.members))
	for _, m := range membersOf(r.plan.Desired, r.out.State, r.plan.Revision.ID) {
		now[m.ID] = m.found
	}
	return now
}

// takeOff removes a failed first deployment everywhere, and makes sure.
func (r *run) takeOff(ctx context.Context) {
	own, cancel := r.own(ctx, budget(len(r.members)))
	defer cancel()
	r.note(StepRemove, "taking the failed first deployment off again")
	failures := each(r.members, func(m *member) *Failure {
		err := r.remove(own, r.plan.Target, m.ID, m.opaque)
		if err == nil {
			return nil
		}
		return &Failure{Instance: m.ID, Step: StepRemove, Err: err, Afterwards: true}
	})
	if len(failures) == 0 {
		if err := r.prune(own, true); err != nil {
			failures = append(failures, Failure{Instance: err.Instance, Step: StepPrune, Err: err, Afterwards: true})
		}
	}
	if r.look(ctx) {
		failures = append(failures, r.leftovers(failures)...)
		r.out.Gone = len(failures) == 0
	}
	r.out.Failures = append(r.out.Failures, failures...)
	r.out.Result = deployer.OutcomeReverted
	if !r.out.Gone {
		r.out.Result = deployer.OutcomeRevertFailed
	}
}

// leftovers are the instances on which something of this deployment is still
// seen, other than those already known to have failed.
func (r *run) leftovers(known []Failure) []Failure {
	var failures []Failure
	for n := range r.out.State.Instances {
		i := &r.out.State.Instances[n]
		if slices.ContainsFunc(known, func(f Failure) bool { return f.Instance == i.ID }) {
			continue
		}
		if what := r.left(i); what != "" {
			failures = append(failures, Failure{Instance: i.ID, Step: StepInspect, Afterwards: true,
				Err: deployer.Errorf(deployer.CodeFailed, "after it was taken off, %s", what)})
		}
	}
	return failures
}

// left says what of ours is still on an instance; "" is nothing.
func (r *run) left(i *deployer.Instance) string {
	switch serving := i.Serving(); {
	case r.foreign(i.Owner):
		return ""
	case i.Unreachable != "":
		return "it cannot be reached: " + i.Unreachable
	case serving != nil:
		return "it still runs " + r.name(serving.Revision.ID)
	case i.Desired && r.can(deployer.CanPrune) && len(i.Slots) > 0:
		return "it still holds " + r.name(i.Slots[0].Revision.ID)
	}
	return ""
}

// partsText lists parts with what they run.
func partsText(parts []deployer.Part) string {
	var all []string
	for _, p := range parts {
		all = append(all, strings.TrimSpace(p.Name+" "+p.Revision+" "+string(p.Health)))
	}
	return list(all)
}
