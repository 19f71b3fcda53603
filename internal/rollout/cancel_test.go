// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestCancelling(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		onCancel bool
		method   string
		instance string
		want     map[string]string
		result   deployer.Outcome
	}{
		"in prepare": {method: "Prepare", instance: "app-2", want: map[string]string{"app-1": "1.0.0", "app-2": "1.0.0", "app-3": "1.0.0"}, result: deployer.OutcomeCancelled},
		"in an activation, which ends first": {
			method: "Activate", instance: "app-2", result: deployer.OutcomeCancelled,
			want: map[string]string{"app-1": "1.1.0", "app-2": "1.1.0", "app-3": "1.0.0"},
		},
		"in an activation, reverting": {
			method: "Activate", instance: "app-2", onCancel: true, result: deployer.OutcomeReverted,
			want: map[string]string{"app-1": "1.0.0", "app-2": "1.0.0", "app-3": "1.0.0"},
		},
		"in a health check": {
			method: "Check", instance: "app-1", result: deployer.OutcomeCancelled,
			want: map[string]string{"app-1": "1.1.0", "app-2": "1.0.0", "app-3": "1.0.0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				r.fleet.Script = on(c.method, c.instance, "1.1.0", rollouttest.Fault{Do: cancel, Wait: takes(time.Second)})
				plan := r.plan("1.1.0")
				plan.Revert.OnCancel = c.onCancel
				out, err := r.roll(ctx, plan)
				wants(r.T, err, rollout.ReasonCancelled, "was cancelled")
				r.runs(c.want)
				truthful(r.T, r.fleet, out)
				if out.Result != c.result || out.State.Unfinished != nil || r.fleet.Locked() {
					r.Errorf("outcome %+v", out)
				}
				// The next apply goes on, and believes nothing that was not verified.
				r.fleet.Script = nil
				next := r.plan("1.1.0")
				next.Generation = out.Generation
				again, err := r.roll(r.Context(), next)
				ok(r.T, err)
				if len(again.Switched) != 3 {
					r.Errorf("went on with %v", again.Switched)
				}
				r.runs(r.everywhere("1.1.0"))
			})
		})
	}
}

func TestACancelledFirstDeploymentLeavesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		r.fleet.Script = on("Check", "app-2", "", rollouttest.Fault{Do: cancel})
		out, err := r.roll(ctx, r.create("1.0.0"))
		wants(r.T, err, rollout.ReasonCancelled, "nothing of it is left")
		if !r.fleet.Empty() || !out.Gone {
			r.Errorf("left %v", r.fleet.Runs())
		}
	})
}

func TestATimeoutIsAFailure(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		ctx, cancel := context.WithTimeout(r.Context(), 15*time.Second)
		defer cancel()
		out, err := r.roll(ctx, r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonTimeout, "took longer than its timeout; every switched instance was put back")
		r.runs(r.everywhere("1.0.0"))
		truthful(r.T, r.fleet, out)
	})
}

func TestAHangingActivationEndsAfterAGrace(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		r.fleet.Script = on("Activate", "app-1", "1.1.0", rollouttest.Fault{Hang: true})
		out, err := r.roll(ctx, r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonTimeout)
		if took := out.Finished.Sub(out.Started); took > 4*time.Minute {
			r.Errorf("took %s", took)
		}
		r.runs(r.everywhere("1.0.0"))
	})
}

func TestAPluginThatStaysDeadIsNotBelieved(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = on("Activate", "app-2", "", rollouttest.Fault{Do: r.fleet.Die})
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "the plugin's process ended", "What runs now could not be observed")
		if out.Inspected {
			r.Error("says that it was inspected")
		}
	})
}
