// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// trafficChecks are about running two revisions side by side.
var trafficChecks = []check{
	{"Stage/runs_beside_without_traffic", []deployer.Capability{deployer.CanStage}, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationUpdate)
		r.lock()
		r.prepare(r.revision("r2"))
		r.stage("r2")
		r.stage("r2")
		r.serves("r1", "after Stage of r2")
		r.slot("r2", deployer.RoleStaged, 0)
		r.activate("r2")
		r.serves("r2", "after Activate of what was staged")
		if r.can(deployer.CanRetire) {
			r.onAll("Retire", func(instance string) error {
				_, err := r.deployer.Retire(r.ctx(), deployer.RetireRequest{Mutation: r.mutation(instance), RevisionID: "r1"}, nil)
				return err
			})
			r.serves("r2", "after Retire of r1")
		}
		r.unlock()
	}},
	{"Shift/sets_shares", []deployer.Capability{deployer.CanStage, deployer.CanShift}, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationUpdate)
		r.lock()
		r.prepare(r.revision("r2"))
		r.stage("r2")
		for _, scope := range r.scopes() {
			for range 2 {
				_, err := r.deployer.Shift(r.ctx(), deployer.ShiftRequest{
					Target: r.target, Scope: scope, Operation: r.operation, Owner: r.owner, Token: r.token,
					Shares: map[string]int{"r1": 900, "r2": 100},
				})
				r.must(err, "Shift in "+scope)
			}
		}
		r.slot("r2", deployer.RoleStaged, 100)
		r.slot("r1", deployer.RoleServing, 900)
		r.unlock()
	}},
}

func (r *rig) scopes() []string {
	var scopes []string
	for _, i := range r.instances {
		if !slices.Contains(scopes, i.Scope) {
			scopes = append(scopes, i.Scope)
		}
	}
	return scopes
}

// slot asserts the role and the share of a revision everywhere.
func (r *rig) slot(id string, role deployer.Role, share int) {
	r.Helper()
	for _, i := range r.inspect().Instances {
		at := slices.IndexFunc(i.Slots, func(s deployer.Slot) bool { return s.Revision.ID == id })
		if at < 0 {
			r.Errorf("%s has no slot of %s", i.ID, id)
			continue
		}
		if s := i.Slots[at]; s.Role != role || s.Share != share {
			r.Errorf("%s: %s is %s with %d ‰, want %s with %d ‰", i.ID, id, s.Role, s.Share, role, share)
		}
	}
}
