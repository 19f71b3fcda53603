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

func TestAForeignDeploymentIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, "owner-2", "0.9.0")
		if err := (rollout.SystemClock{}).Sleep(r.Context(), 3*time.Hour); err != nil {
			r.Fatal(err)
		}
		out, err := r.roll(r.Context(), r.create("1.0.0"))
		wants(r.T, err, rollout.ReasonForeign, "production/api", "shop:0.9.0", "for 3h0m0s", "ann@laptop, a first deployment (op-install)",
			"terraform import delivery_deployment.<name> production/api")
		if out.Touched || !out.Inspected || r.fleet.Locked() {
			r.Errorf("outcome %+v", out)
		}
		r.runs(r.everywhere("0.9.0"))
	})
}

func TestAForeignInstanceAmongOursIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(rollouttest.Target("app-3"), "owner-2", "0.9.0")
		r.fleet.Install(rollouttest.Target("app-1", "app-2"), owner, "1.0.0")
		r.fleet.Install(rollouttest.Target("app-1", "app-2"), owner, "1.0.0")
		_, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonForeign, "on app-3")
		if len(r.fleet.Methods("Record")) > 0 {
			r.Error("something was written")
		}
	})
}

func TestAReleaseWithOtherBytesIsRefused(t *testing.T) {
	t.Parallel()
	for name, revision := range map[string]string{"the same revision": "1.0.0", "another configuration of the release": "1.0.0-b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				first := r.create("1.0.0")
				first.Revision.ArtifactDigest = "sha256:aaaa"
				_, err := r.roll(r.Context(), first)
				ok(r.T, err)
				recorded := len(r.fleet.Methods("Record"))

				plan := r.plan(revision)
				plan.Revision.ReleaseID, plan.Revision.ArtifactDigest = first.Revision.ReleaseID, "sha256:bbbb"
				out, err := r.roll(r.Context(), plan)
				wants(r.T, err, rollout.ReasonChanged, "release shop:1.0.0 has other bytes than before",
					"app-1", "sha256:aaaa", "sha256:bbbb", "make a release with a new version")
				if len(r.fleet.Methods("Record")) > recorded || out.Touched || r.fleet.Locked() {
					r.Errorf("something was written: %+v", out)
				}
				r.runs(r.everywhere("1.0.0"))

				plan.Revision.ArtifactDigest = "sha256:aaaa"
				_, err = r.roll(r.Context(), plan)
				ok(r.T, err)
				r.runs(r.everywhere(revision))
			})
		})
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	for name, revision := range map[string]string{"of the same revision touches nothing": "0.9.0", "of another one rolls": "1.0.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, "owner-2", "0.9.0")
				plan := r.plan(revision)
				plan.Operation.Kind, plan.MayAdopt = deployer.OperationAdopt, true
				out, err := r.roll(r.Context(), plan)
				ok(r.T, err)
				r.runs(r.everywhere(revision))
				if touched := len(out.Switched) > 0; touched == (revision == "0.9.0") {
					r.Errorf("switched %v", out.Switched)
				}
				if out.State.Owner != owner || r.fleet.Ledger("app-1")[len(r.fleet.Ledger("app-1"))-1].Owner != owner {
					r.Error("the owner was not taken over")
				}
			})
		})
	}
}

func TestAnIncompleteFirstDeploymentIsTakenOver(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Script = on("Check", "app-2", "", rollouttest.Fault{Do: r.fleet.Die})
		plan := r.create("1.0.0")
		plan.Owner = "owner-2"
		_, err := r.roll(r.Context(), plan)
		if err == nil || len(r.fleet.Runs()) != 2 {
			r.Fatalf("runs %v, %v", r.fleet.Runs(), err)
		}
		r.fleet.Revive()
		r.fleet.Script = nil
		next := r.create("1.0.1")
		next.LockTimeout = 2 * time.Minute
		out, err := r.roll(r.Context(), next)
		ok(r.T, err)
		r.runs(r.everywhere("1.0.1"))
		truthful(r.T, r.fleet, out)
	})
}

func TestAChangedTargetIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Install(r.target, owner, "1.0.1")
		plan := r.plan("1.1.0")
		plan.Generation = 1
		out, err := r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonChanged, "the target changed since this plan, by ann@laptop", "generation 2, the plan saw 1", "Plan again")
		if out.Touched || out.Generation != 1 {
			r.Errorf("outcome %+v", out)
		}
		plan.Generation = 2
		_, err = r.roll(r.Context(), plan)
		ok(r.T, err)
	})
}

func TestAnUnreachableInstanceLeavesEverythingUntouched(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		for _, id := range []string{"app-3", "app-1"} {
			r.fleet.Edit(id, func(p *rollouttest.Place) { p.Unreachable = "connection refused" })
		}
		_, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonUnreachable, "2 instances cannot be reached", "app-1: inspect: cannot be reached: connection refused\napp-3:")
		same(r.T, "calls", r.methods(), []string{"Acquire", "Inspect", "Release"})
	})
}

func TestWhatCannotBeSeenIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Script = on("Inspect", "", "", rollouttest.Fault{Err: deployer.Errorf(deployer.CodeRefused, "no right to look")})
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "inspect: no right to look")
		if out.Inspected || r.fleet.Locked() {
			r.Errorf("outcome %+v", out)
		}
	})
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		out, err := r.destroy(r.Context(), r.plan("1.0.0"))
		ok(r.T, err)
		if !r.fleet.Empty() || !out.Gone || out.Result != deployer.OutcomeSucceeded || r.fleet.Locked() {
			r.Errorf("left %v, outcome %+v", r.fleet.Runs(), out)
		}
		out, err = r.destroy(r.Context(), r.plan("1.0.0"))
		ok(r.T, err)
		if !out.Gone || out.Touched {
			r.Errorf("a second time: %+v", out)
		}
	})
}

func TestDestroyRemovesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, "owner-2", "2.0.0")
		out, err := r.destroy(r.Context(), r.plan("1.0.0"))
		ok(r.T, err)
		r.runs(r.everywhere("2.0.0"))
		if out.Touched || len(out.Warnings) != 3 {
			r.Errorf("outcome %+v", out)
		}
	})
}

func TestDestroyTrouble(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		setup func(*rig, context.CancelFunc)
		why   rollout.Reason
		text  string
		left  int
	}{
		"unreachable": {
			setup: func(r *rig, _ context.CancelFunc) {
				r.fleet.Edit("app-2", func(p *rollouttest.Place) { p.Unreachable = "no route" })
			},
			why: rollout.ReasonUnreachable, text: "app-2", left: 3,
		},
		"refused": {
			setup: func(r *rig, _ context.CancelFunc) {
				r.fleet.Script = on("Remove", "app-2", "", rollouttest.Fault{Err: rollouttest.Broken("app-2", "busy")})
			},
			why: rollout.ReasonFailed, text: "app-2: remove: busy", left: 1,
		},
		"not pruned": {
			setup: func(r *rig, _ context.CancelFunc) {
				r.fleet.Script = on("Prune", "", "", rollouttest.Fault{Err: rollouttest.Broken("", "busy")})
			},
			why: rollout.ReasonFailed, text: "prune: busy",
		},
		"cancelled": {
			setup: func(r *rig, cancel context.CancelFunc) {
				r.fleet.Script = on("Record", "", "", rollouttest.Fault{Do: cancel})
			},
			why: rollout.ReasonCancelled, text: "removing production/api was cancelled", left: 3,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				c.setup(r, cancel)
				out, err := r.destroy(ctx, r.plan("1.0.0"))
				if err == nil || out.Gone {
					r.Fatalf("outcome %+v", out)
				}
				if name != "cancelled" {
					wants(r.T, err, c.why, c.text)
				}
				if n := len(r.fleet.Runs()); n != c.left {
					r.Errorf("%d instances left, want %d", n, c.left)
				}
				truthful(r.T, r.fleet, out)
			})
		})
	}
}
