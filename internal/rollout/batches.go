// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Batches is the order in which Roll would switch instances, by id. It is pure.
// Instances that serve the revision as they should are not in it.
func Batches(desired []deployer.DesiredInstance, state deployer.TargetState, revision string, strategy Strategy) [][]string {
	if strategy == nil {
		strategy = Rolling{}
	}
	return batchesOf(strategy.waves(len(desired), pendingIDs(desired, state, revision)))
}

// pendingIDs are the instances that have to be brought to the revision.
func pendingIDs(desired []deployer.DesiredInstance, state deployer.TargetState, revision string) []string {
	return pendingOf(membersOf(desired, state, revision))
}

// pendingOf are the members that have to be switched, in their order.
func pendingOf(members []*member) []string {
	var ids []string
	for _, m := range members {
		if m.pending {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func batchesOf(waves []wave) [][]string {
	batches := make([][]string, 0, len(waves))
	for _, w := range waves {
		batches = append(batches, w.ids)
	}
	return batches
}

// membersOf matches the desired instances with what was found.
func membersOf(desired []deployer.DesiredInstance, state deployer.TargetState, revision string) []*member {
	found := make(map[string]*deployer.Instance, len(state.Instances))
	for n := range state.Instances {
		if i := &state.Instances[n]; i.Desired {
			found[i.ID] = i
		}
	}
	verified := wasVerified(state, revision)
	members := make([]*member, 0, len(desired))
	for _, want := range sorted(desired) {
		m := &member{DesiredInstance: want, pending: true}
		if i := found[want.ID]; i != nil {
			m.found = *i
			m.opaque = i.Opaque
			if serving := i.Serving(); serving != nil {
				m.from = serving.Revision.ID
			}
			m.pending = !verified || !serves(i, revision) || i.Unreachable == "" && besides(i)
		} else {
			m.found = deployer.Instance{ID: want.ID, Scope: want.Scope, Order: want.Order, Desired: true, Address: want.Address, Place: want.Place}
		}
		members = append(members, m)
	}
	return members
}

// serves says whether an instance runs a revision as it should, so that there is
// nothing to do.
func serves(i *deployer.Instance, revision string) bool {
	serving := i.Serving()
	if i.Unreachable != "" || serving == nil || serving.Revision.ID != revision || serving.Incomplete || len(i.Drift) > 0 || broken(serving.Health) {
		return false
	}
	return !mixed(i, revision)
}

// mixed: a part of it is broken, or of another revision.
func mixed(i *deployer.Instance, revision string) bool {
	return slices.ContainsFunc(i.Parts, func(p deployer.Part) bool {
		return broken(p.Health) || p.Revision != "" && p.Revision != revision
	})
}

// besides: something runs there that gets no traffic and was not retired.
func besides(i *deployer.Instance) bool {
	return slices.ContainsFunc(i.Slots, func(s deployer.Slot) bool { return s.Role == deployer.RoleStaged })
}

// broken: what could not be observed is no reason to touch it.
func broken(h deployer.Health) bool {
	return h == deployer.HealthStopped || h == deployer.HealthFailing || h == deployer.HealthMissing
}

// wasVerified says whether an instance that is found with the revision may be
// believed: not if a run that was cut off, cancelled, or that failed, may have
// left it there before its health was known.
func wasVerified(state deployer.TargetState, revision string) bool {
	if state.LastGood != nil {
		return state.LastGood.ID == revision
	}
	return state.Unfinished == nil && !slices.ContainsFunc(state.Failed, func(f deployer.FailedRevision) bool {
		return f.Revision.ID == revision
	})
}
