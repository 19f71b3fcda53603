// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestFirstDeployment(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		plan := r.create("1.0.0")
		artifacts := 0
		plan.Artifact = func(context.Context) (deployer.Artifact, error) {
			artifacts++
			return deployer.Artifact{}, nil
		}
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		r.runs(r.everywhere("1.0.0"))
		truthful(r.T, r.fleet, out)
		if out.Result != deployer.OutcomeSucceeded || out.Generation != 2 || out.LastGood == nil || out.LastGood.ID != "1.0.0" || artifacts != 1 {
			r.Errorf("outcome %+v, %d artifacts", out, artifacts)
		}
		if out.State.Owner != owner || out.State.Unfinished != nil || r.fleet.Locked() {
			r.Errorf("state %+v, locked %v", out.State, r.fleet.Locked())
		}
		if took := out.Finished.Sub(out.Started); took < 30*time.Second || took > 33*time.Second {
			r.Errorf("three instances that must be healthy for 10 s each took %s", took)
		}
		if n := len(r.fleet.Methods("Inspect")); n != 1 {
			r.Errorf("%d inspections on an atomic deployer, want 1", n)
		}
	})
}

func TestOrderOfCalls(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		_, err := r.roll(r.Context(), r.plan("1.1.0"))
		ok(r.T, err)
		got := r.methods()
		// Preparations run at once; their order is not decided.
		same(r.T, "calls before and after preparing", append(got[:3:3], got[6:]...), []string{
			"Acquire", "Inspect", "Record begin 1.1.0",
			"Activate app-1 1.1.0", "Activate app-2 1.1.0", "Activate app-3 1.1.0",
			"Record end 1.1.0", "Release",
		})
		ledger := r.fleet.Ledger("app-2")
		begin, end := ledger[len(ledger)-2], ledger[len(ledger)-1]
		if begin.From["app-2"] != "1.0.0" || end.Runs["app-2"] != "1.1.0" || end.Outcome != deployer.OutcomeSucceeded || begin.Generation != 2 || end.Generation != 3 {
			r.Errorf("ledger %+v", ledger)
		}
	})
}

func TestNothingToDoWritesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		plan := r.plan("1.0.0")
		plan.Generation = 1
		plan.Artifact = func(context.Context) (deployer.Artifact, error) { return deployer.Artifact{}, errors.New("not needed") }
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		same(r.T, "calls", r.methods(), []string{"Acquire", "Inspect", "Release"})
		if out.Generation != 1 || out.Touched || out.Result != deployer.OutcomeSucceeded {
			r.Errorf("outcome %+v", out)
		}
	})
}

func TestASmallerRetentionPrunes(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		for n := range 4 {
			r.fleet.Install(r.target, owner, fmt.Sprintf("1.0.%d", n))
		}
		plan := r.plan("1.0.3")
		plan.Keep = 2
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		same(r.T, "calls", r.methods(), []string{"Acquire", "Inspect", "Prune", "Release"})
		if n := len(out.State.Instances[0].Slots); n != 2 {
			r.Errorf("%d slots, want 2", n)
		}
	})
}

func TestAHeldRevisionIsNotPreparedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Install(r.target, owner, "1.1.0")
		r.fleet.Edit("app-2", func(p *rollouttest.Place) { p.Damaged = []string{"1.0.0"} })
		_, err := r.roll(r.Context(), r.plan("1.0.0"))
		ok(r.T, err)
		if got := r.fleet.Methods("Prepare"); len(got) != 1 || got[0].Instance != "app-2" {
			r.Errorf("prepared %v, want only the damaged one", got)
		}
		r.runs(r.everywhere("1.0.0"))
	})
}

func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	edits := map[string]func(*rollouttest.Place){
		"switched by hand": func(p *rollouttest.Place) { p.Serving = "1.0.0" },
		"stopped":          func(p *rollouttest.Place) { p.Health = deployer.HealthStopped },
		"drifted":          func(p *rollouttest.Place) { p.Drift = []deployer.Drift{{What: "service"}} },
		"deleted":          func(p *rollouttest.Place) { p.Serving, p.Lost = "", []string{"1.1.0"} },
		"damaged":          func(p *rollouttest.Place) { p.Damaged = []string{"1.1.0"} },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				r.fleet.Install(r.target, owner, "1.1.0")
				r.fleet.Edit("app-2", edit)
				out, err := r.roll(r.Context(), r.plan("1.1.0"))
				ok(r.T, err)
				r.runs(r.everywhere("1.1.0"))
				same(r.T, "switched", out.Switched, []string{"app-2"})
			})
		})
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		state, err := r.fleet.Inspect(r.Context(), deployer.InspectRequest{Target: r.target})
		if err != nil {
			r.Fatal(err)
		}
		plan := r.plan("1.1.0")
		plan.Strategy = rollout.Rolling{MaxParallel: rollout.Count(2)}
		plan.Desired[0].Order = 7 // app-1 comes last
		batches := rollout.Batches(plan.Desired, state, "1.1.0", plan.Strategy)
		if got := fmt.Sprint(batches); got != "[[app-2 app-3] [app-4 app-5] [app-1]]" {
			r.Errorf("batches %s", got)
		}
		r.fleet.Script = on("Check", "", "", rollouttest.Fault{Wait: takes(time.Second)})
		out, failed := r.roll(r.Context(), plan)
		ok(r.T, failed)
		if fmt.Sprint(out.Batches) != fmt.Sprint(batches) {
			r.Errorf("switched in %v, planned %v", out.Batches, batches)
		}
		if n := r.fleet.MaxOut(); n != 2 {
			r.Errorf("%d out at once, want 2", n)
		}
		if got := rollout.Batches(plan.Desired, out.State, "1.1.0", nil); len(got) != 0 {
			r.Errorf("afterwards %v is still to do", got)
		}
	}, "app-1", "app-2", "app-3", "app-4", "app-5")
}

func TestInstancesThatAreNoLongerDesiredAreRemovedLast(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		before := r.target
		// app-2 moves, app-3 goes, app-4 comes.
		r.target = rollouttest.TargetAt(map[string]string{"app-1": "app-1", "app-2": "elsewhere", "app-4": "app-4"})
		plan := r.plan("1.1.0")
		plan.Previous = &before
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		r.runs(map[string]string{"app-1": "1.1.0", "elsewhere": "1.1.0", "app-4": "1.1.0"})
		truthful(r.T, r.fleet, out)
		removals := 0
		for _, c := range r.fleet.Calls() {
			switch {
			case c.Method == "Remove":
				removals++
			case c.Method == "Activate" && removals > 0:
				r.Error("activated after a removal")
			}
		}
		if removals != 2 || len(out.State.Instances) != 3 || len(out.Tombstones) != 0 {
			r.Errorf("%d removals, state %+v", removals, out.State)
		}
		if len(r.fleet.Ledger("app-3")) != 0 {
			r.Error("the end was recorded on an instance that was left")
		}
	})
}

func TestARemovedInstanceThatCannotBeReachedIsATombstone(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		before := r.target
		r.target = rollouttest.Target("app-1", "app-2")
		r.fleet.Edit("app-3", func(p *rollouttest.Place) { p.Unreachable = "no route to host" })
		plan := r.plan("1.1.0")
		plan.Previous = &before
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		same(r.T, "tombstones", out.Tombstones, []string{"app-3"})
		if len(out.Warnings) != 1 {
			r.Errorf("warnings %q", out.Warnings)
		}
		r.fleet.Edit("app-3", func(p *rollouttest.Place) { p.Unreachable = "" })
		out, err = r.roll(r.Context(), plan)
		ok(r.T, err)
		if len(out.Tombstones) != 0 {
			r.Errorf("still %v", out.Tombstones)
		}
		r.runs(map[string]string{"app-1": "1.1.0", "app-2": "1.1.0"})
	})
}

func TestAFailedRemovalIsAnErrorAndTheRevisionStays(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		before := r.target
		r.target = rollouttest.Target("app-1", "app-2")
		plan := r.plan("1.1.0")
		plan.Previous = &before
		r.fleet.Script = on("Remove", "app-3", "", rollouttest.Fault{Err: rollouttest.Broken("app-3", "device is busy")})
		out, err := r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonFailed, "app-3: remove: device is busy")
		if out.Result != deployer.OutcomeSucceeded || out.LastGood.ID != "1.1.0" || len(out.Tombstones) != 1 {
			r.Errorf("outcome %+v", out)
		}
		r.runs(map[string]string{"app-1": "1.1.0", "app-2": "1.1.0", "app-3": "1.0.0"})
		truthful(r.T, r.fleet, out)
	})
}

func TestADeployerWithoutExtras(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Without = []deployer.Capability{deployer.CanLock, deployer.CanPrepare, deployer.CanRecord, deployer.CanPrune, deployer.Atomic}
		out, err := r.roll(r.Context(), r.create("1.0.0"))
		ok(r.T, err)
		r.runs(r.everywhere("1.0.0"))
		if len(out.Warnings) != 2 {
			r.Errorf("warnings %q, want one for the lock and one for the ledger", out.Warnings)
		}
		for _, method := range []string{"Acquire", "Renew", "Release", "Record", "Prune"} {
			if len(r.fleet.Methods(method)) > 0 {
				r.Errorf("called %s, which the deployer cannot", method)
			}
		}
		if len(r.fleet.Methods("Prepare")) != 3 {
			r.Error("the default Prepare hands the revision to Activate; it must be called")
		}
		if len(r.fleet.Methods("Inspect")) != 2 {
			r.Error("a deployer that is not atomic must be looked at again")
		}
	})
}

func TestRollingOneHundredAtOnce(t *testing.T) {
	t.Parallel()
	var ids []string
	for n := range 100 {
		ids = append(ids, fmt.Sprintf("app-%03d", n))
	}
	bubble(t, func(r *rig) {
		plan := r.create("1.0.0")
		plan.Strategy = rollout.Rolling{MaxParallel: rollout.Count(100), MinHealthyTime: 10 * time.Second}
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		if took := out.Finished.Sub(out.Started); took > 11*time.Second {
			r.Errorf("one batch took %s", took)
		}
	}, ids...)
}

func BenchmarkBatchesOfAThousand(b *testing.B) {
	var ids []string
	for n := range 1000 {
		ids = append(ids, fmt.Sprintf("app-%04d", n))
	}
	target := rollouttest.Target(ids...)
	fleet := &rollouttest.Fleet{}
	fleet.Install(target, owner, "1.0.0")
	state, err := fleet.Inspect(b.Context(), deployer.InspectRequest{Target: target})
	if err != nil {
		b.Fatal(err)
	}
	desired := rollouttest.Desired(target)
	for b.Loop() {
		rollout.Batches(desired, state, "1.1.0", rollout.Rolling{MaxParallel: rollout.Count(10)})
	}
}

func TestATombstoneAloneWritesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		before := r.target
		r.target = rollouttest.Target("app-1", "app-2")
		r.fleet.Edit("app-3", func(p *rollouttest.Place) { p.Unreachable = "no route to host" })
		plan := r.plan("1.0.0")
		plan.Previous = &before
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		same(r.T, "tombstones", out.Tombstones, []string{"app-3"})
		same(r.T, "calls", r.methods(), []string{"Acquire", "Inspect", "Release"})
	})
}

func TestRetentionAfterARollout(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		for n := range 3 {
			r.fleet.Install(r.target, owner, fmt.Sprintf("1.0.%d", n))
		}
		plan := r.plan("1.1.0")
		plan.Keep = 3
		out, err := r.roll(r.Context(), plan)
		ok(r.T, err)
		if n := len(r.fleet.Methods("Prune")); n != 1 || len(out.State.Instances[0].Slots) != 3 {
			r.Errorf("pruned %d times, state %+v", n, out.State.Instances[0].Slots)
		}
	})
}
