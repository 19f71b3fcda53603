// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// A deployer that reports success and runs something else is found out.
func TestASuccessIsVerified(t *testing.T) {
	t.Parallel()
	spec := specOf("shop:1.0.0")
	wanted := wantedOf(spec, host("1"), host("2"))
	s := &Service{}
	now := healthy(spec, "1", "2")
	if err := s.verify(now, wanted, rollout.Outcome{Inspected: true}); err != nil {
		t.Error(err)
	}
	now.Instances["2"] = Instance{Release: "shop:0.9.0", Revision: "old", Health: HealthHealthy}
	if err := s.verify(now, wanted, rollout.Outcome{Inspected: true}); err == nil {
		t.Error("an instance on another revision is taken for a success")
	}
}

// What a failed update may have left at a new place is remembered; what was
// there before, and what is somebody else's, is not.
func TestLeftoversOfAFailedUpdate(t *testing.T) {
	t.Parallel()
	before := Target{Environment: "production", Name: "api", Deployer: "ssh"}
	req := ApplyRequest{Spec: specOf("shop:1.0.0"), Previous: &before, Private: Private{Places: map[string]string{"1": host("1").Place}}}
	plan := rollout.Plan{Owner: "o", Desired: []deployer.DesiredInstance{host("1"), host("2"), host("3"), host("4")}}
	outcome := rollout.Outcome{Touched: true, State: deployer.TargetState{Instances: []deployer.Instance{
		{ID: "1", Desired: true, Owner: "o"},
		{ID: "2", Desired: true, Owner: "o"},
		{ID: "3", Desired: true, Unreachable: "timeout"},
		{ID: "4", Desired: true, Owner: "somebody else"},
	}}}
	left := leftovers(req, plan, outcome)
	if len(left) != 2 || left[0].Instance != "2" || left[0].Place != host("2").Place || left[1].Instance != "3" {
		t.Errorf("left over: %+v", left)
	}
	outcome.Touched = false
	if left := leftovers(req, plan, outcome); left != nil {
		t.Errorf("an update that touched nothing left %+v", left)
	}
}
