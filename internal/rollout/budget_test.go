// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// slowestStop is the longest stop_timeout that host deployers accept, and
// longestWait how long they wait for another switch of the same host.
const (
	slowestStop = 90 * time.Second
	longestWait = 2 * time.Minute
)

func TestASlowStopIsNotCutOffByACancellation(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		r.fleet.Script = on("Activate", "app-1", "1.1.0", rollouttest.Fault{Do: cancel, Wait: takes(longestWait)})
		plan := r.plan("1.1.0")
		plan.Revert.OnCancel = false
		out, err := r.roll(ctx, plan)
		wants(r.T, err, rollout.ReasonCancelled)
		r.runs(map[string]string{"app-1": "1.1.0", "app-2": "1.0.0", "app-3": "1.0.0"})
		truthful(r.T, r.fleet, out)
	})
}

// Not all of a hundred instances are changed at once, so their slow stops add up.
func TestSlowStopsOfManyInstancesFitTheirBudget(t *testing.T) {
	t.Parallel()
	var many []string
	for n := range 100 {
		many = append(many, fmt.Sprintf("app-%03d", n))
	}
	for name, first := range map[string]bool{"taken off": true, "put back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				plan := r.create("1.1.0")
				if !first {
					r.fleet.Install(r.target, owner, "1.0.0")
					plan = r.plan("1.1.0")
				}
				plan.Strategy = rollout.Rolling{MaxParallel: rollout.Count(len(many))}
				r.fleet.Health = failing("1.1.0", "app-050")
				r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
					if c.Method == "Remove" || c.Method == "Activate" && c.Revision == "1.0.0" {
						return rollouttest.Fault{Wait: takes(longestWait + slowestStop)}
					}
					return rollouttest.Fault{}
				}
				out, err := r.roll(r.Context(), plan)
				wants(r.T, err, rollout.ReasonFailed)
				if out.Result != deployer.OutcomeReverted {
					r.Errorf("result %s", out.Result)
				}
				if first && !out.Gone {
					r.Errorf("left %v", r.fleet.Runs())
				} else if !first {
					r.runs(r.everywhere("1.0.0"))
				}
			}, many...)
		})
	}
}
