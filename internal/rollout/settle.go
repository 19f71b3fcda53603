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
		m := &member{DesiredInstance: deployer.DesiredInstance{ID: i.ID, Place: i.Place}, found: i}
		if serving := i.Serving(); serving != nil {
			m.from = serving.Revision.ID
		}
		leaving = append(leaving, m)
	}
	failures := each(leaving, func(m *member) *Failure {
		if m.found.Unreachable != "" {
			return &Failure{Instance: m.ID, Step: StepInspect, Err: deployer.Errorf(deployer.CodeUnreachable, "%s", m.found.Unreachable)}
		}
		m.target = &target
		if err := r.drain(ctx, m, m.runs()); err != nil {
			r.warn(m.ID + " is no longer desired and could not be drained: " + err.Message)
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
