// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// hold takes the lock for somebody else.
func (r *rig) hold(lease time.Duration) string {
	lock, err := r.fleet.Acquire(r.Context(), deployer.AcquireRequest{
		Target: r.target, Lease: lease,
		Operation: deployer.Operation{ID: "op-9", Kind: deployer.OperationUpdate, Actor: "eve@ci"},
	})
	if err != nil {
		r.Fatal(err)
	}
	return lock.Token
}

func TestALockedTargetNamesItsHolder(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.hold(time.Hour)
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonLocked, "nothing was changed: the target is locked; eve@ci holds it since 2000-01-01T00:00:00Z for an update (op-9)")
		if took := out.Finished.Sub(out.Started); took > 0 || out.Touched || out.Inspected {
			r.Errorf("took %s, outcome %+v", took, out)
		}
		same(r.T, "calls", r.methods(), []string{"Acquire", "Acquire"})
	})
}

func TestWaitingForALock(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.hold(30 * time.Second) // and its holder is dead
		plan := r.plan("1.1.0")
		plan.LockTimeout = 20 * time.Second
		out, err := r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonLocked)
		if took := out.Finished.Sub(out.Started); took != 20*time.Second {
			r.Errorf("waited %s", took)
		}
		out, err = r.roll(r.Context(), plan)
		ok(r.T, err)
		r.runs(r.everywhere("1.1.0"))
	})
}

func TestCancelledWhileWaitingForALock(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.hold(time.Hour)
		ctx, cancel := context.WithCancel(r.Context())
		time.AfterFunc(5*time.Second, cancel)
		plan := r.plan("1.1.0")
		plan.LockTimeout = time.Minute
		out, err := r.roll(ctx, plan)
		if err == nil || out.Touched || out.Finished.Sub(out.Started) != 5*time.Second {
			r.Errorf("outcome %+v, error %v", out, err)
		}
	})
}

func TestTheLeaseIsRenewedAtAThird(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		plan := r.create("1.0.0")
		plan.Lease = 9 * time.Second
		_, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		if n := len(r.fleet.Methods("Renew")); n < 9 || n > 10 {
			r.Errorf("%d renewals in 30 s, want one every 3 s", n)
		}
	})
}

func TestARenewalThatFailsOnceIsTriedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
			if c.Method == "Renew" && c.N == 2 {
				return rollouttest.Fault{Err: deployer.Errorf(deployer.CodeUnreachable, "timeout")}
			}
			return rollouttest.Fault{}
		}
		plan := r.create("1.0.0")
		plan.Lease = 9 * time.Second
		_, err := r.roll(r.Context(), plan)
		ok(r.T, err)
	})
}

func TestALostLockStopsEverything(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"update": false, "first deployment": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				plan := r.plan("1.1.0")
				if first {
					plan = r.create("1.1.0")
				} else {
					r.fleet.Install(r.target, owner, "1.0.0")
				}
				stolen := false
				r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
					if c.Method == "Check" && c.Instance == "app-2" && !stolen {
						stolen = true
						return rollouttest.Fault{Do: func() {
							r.fleet.Steal()
							r.hold(time.Hour)
						}}
					}
					return rollouttest.Fault{}
				}
				plan.Lease = 9 * time.Second
				out, err := r.roll(r.Context(), plan)
				wants(r.T, err, rollout.ReasonLockLost, "lost the lock and stopped", "somebody else took the lock")
				truthful(r.T, r.fleet, out)
				after := false
				for _, c := range r.fleet.Calls() {
					switch {
					case c.Method == "Acquire" && c.N == 2:
						after = true
					case after && c.Method != "Renew" && c.Method != "Inspect" && c.Method != "Check":
						r.Errorf("%s after the lock was lost", c)
					}
				}
				if !after || len(out.Reverted) > 0 {
					r.Errorf("outcome %+v", out)
				}
			})
		})
	}
}

func TestALeaseThatCannotBeRenewedIsLost(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = on("Renew", "", "", rollouttest.Fault{Err: deployer.Errorf(deployer.CodeUnreachable, "timeout")})
		plan := r.plan("1.1.0")
		plan.Lease = 9 * time.Second
		out, err := r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonLockLost, "ran out before it could be renewed")
		if took := out.Finished.Sub(out.Started); took > 10*time.Second {
			r.Errorf("went on for %s", took)
		}
	})
}

func TestAHostThatDiesDoesNotStopTheRevertOfTheOthers(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"for good": false, "and comes back with its lease over": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				reach := func(why string) func() {
					return func() { r.fleet.Edit("app-2", func(p *rollouttest.Place) { p.Unreachable = why }) }
				}
				r.fleet.Health = failing("1.1.0", "app-3")
				r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
					switch {
					case c.Method == "Check" && c.Instance == "app-3" && c.N == 1:
						return rollouttest.Fault{Do: reach("no route to host")}
					case c.Method == "Activate" && c.Instance == "app-2" && c.Revision == "1.0.0" && back:
						return rollouttest.Fault{Do: reach("")}
					}
					return rollouttest.Fault{}
				}
				plan := r.plan("1.1.0")
				plan.Lease = 9 * time.Second // app-3 is given up after a minute
				out, err := r.roll(r.Context(), plan)
				truthful(r.T, r.fleet, out)
				if back {
					wants(r.T, err, rollout.ReasonFailed, "every switched instance was put back")
					r.runs(r.everywhere("1.0.0"))
				} else {
					wants(r.T, err, rollout.ReasonFailed, "not every instance could be put back", "app-2: could not be put back to shop:1.0.0 (revision 1.0.0): no route to host",
						"app-1, app-3: runs shop:1.0.0", "app-2: cannot be reached")
					r.runs(map[string]string{"app-1": "1.0.0", "app-2": "1.1.0", "app-3": "1.0.0"})
				}
				if n := len(r.fleet.Methods("Renew")); n < 15 {
					r.Errorf("%d renewals", n)
				}
			})
		})
	}
}

func TestALockThatNobodyAnswersForIsLost(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = on("Check", "app-1", "", rollouttest.Fault{Do: func() {
			for id := range r.everywhere("") {
				r.fleet.Edit(id, func(p *rollouttest.Place) { p.Unreachable = "no route to host" })
			}
		}})
		plan := r.plan("1.1.0")
		plan.Lease = 9 * time.Second
		out, err := r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonLockLost, "ran out before it could be renewed")
		if len(out.Switched) != 1 {
			r.Errorf("switched %v", out.Switched)
		}
	})
}

func TestTheLockIsTakenAgainAfterThePluginDied(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]bool{"nobody came": false, "somebody came": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				r.fleet.Script = on("Activate", "app-2", "1.1.0", rollouttest.Fault{
					After: true, Err: deployer.Errorf(deployer.CodePluginGone, "the plugin crashed"),
					Do: func() {}, Wait: func(context.Context) error {
						r.fleet.Steal() // the lock died with its session
						if meanwhile {
							r.fleet.Install(r.target, "owner-2", "2.0.0")
							r.fleet.Install(r.target, "owner-2", "2.0.1")
							r.fleet.Install(r.target, "owner-2", "2.0.2")
						}
						return deployer.Errorf(deployer.CodePluginGone, "the plugin crashed")
					},
				})
				out, err := r.roll(r.Context(), r.plan("1.1.0"))
				if meanwhile {
					wants(r.T, err, rollout.ReasonLockLost, "another operation changed the target meanwhile")
					r.runs(r.everywhere("2.0.2"))
				} else {
					wants(r.T, err, rollout.ReasonFailed, "the plugin crashed", "every switched instance was put back")
					r.runs(r.everywhere("1.0.0"))
				}
				truthful(r.T, r.fleet, out)
			})
		})
	}
}

func TestTwoEnginesOneTarget(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.setUp()
		plans := []rollout.Plan{r.plan("1.1.0"), r.plan("1.2.0")}
		errs := make([]error, 2)
		var both sync.WaitGroup
		for n, plan := range plans {
			plan.Generation, plan.LockTimeout = 1, 10*time.Minute
			both.Go(func() { _, errs[n] = r.engine.Roll(r.Context(), plan) })
			synctest.Wait() // the first has the lock
		}
		both.Wait()
		if errs[0] != nil {
			r.Errorf("the first: %v", errs[0])
		}
		wants(r.T, r.asError(errs[1]), rollout.ReasonChanged, "the target changed since this plan, by bob@ci, an update (op-1.1.0)", "Plan again")
		r.runs(r.everywhere("1.1.0"))
	})
}
