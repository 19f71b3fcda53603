// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// scenario is one run that the matrix cuts off everywhere.
type scenario struct {
	setup func(*rig) rollout.Plan
	bad   bool // the revision fails on app-3
	// tolerates: a failure on app-3 does not put the others back
	tolerates bool
	destroy   bool
	old, new  string
}

func scenarios() map[string]scenario {
	all := map[string]scenario{
		"destroy": {old: "1.0.0", destroy: true, setup: func(r *rig) rollout.Plan {
			r.fleet.Install(r.target, owner, "1.0.0")
			return r.plan("1.0.0")
		}},
	}
	for which, strategy := range strategies() {
		for _, bad := range []bool{false, true} {
			name := fmt.Sprintf("%s, bad %v", which, bad)
			with := strategy.Needs()
			if len(with) > 0 || strings.HasSuffix(which, "staged") {
				with = []deployer.Capability{deployer.CanStage, deployer.CanRetire, deployer.CanShift}
			}
			all["create, "+name] = scenario{new: "1.1.0", bad: bad, setup: func(r *rig) rollout.Plan {
				r.fleet.With = with
				return hooked(r.create("1.1.0"), strategy)
			}}
			tolerates := strings.Contains(which, "may fail")
			all["update, "+name] = scenario{old: "1.0.0", new: "1.1.0", bad: bad, tolerates: tolerates, setup: func(r *rig) rollout.Plan {
				r.fleet.With = with
				r.fleet.Install(r.target, owner, "1.0.0")
				return hooked(r.plan("1.1.0"), strategy)
			}}
			all["update of a changed host list, "+name] = scenario{old: "1.0.0", new: "1.1.0", bad: bad, tolerates: tolerates, setup: func(r *rig) rollout.Plan {
				before := rollouttest.TargetAt(map[string]string{"app-0": "app-0", "app-1": "app-1", "app-2": "old-2"})
				r.fleet.With = with
				r.fleet.Install(before, owner, "1.0.0")
				plan := hooked(r.plan("1.1.0"), strategy)
				plan.Previous = &before
				return plan
			}}
		}
	}
	return all
}

// strategies are those of the matrix; on a fleet that can stage where they need
// it, or are named so.
func strategies() map[string]rollout.Strategy {
	const enough = 2 * time.Second
	two := rollout.Rolling{MaxParallel: rollout.Count(2), MinHealthyTime: enough}
	return map[string]rollout.Strategy{
		"rolling 1":           rollout.Rolling{MinHealthyTime: enough, Pause: time.Second},
		"rolling 2":           two,
		"rolling 2, staged":   two,
		"rolling, 1 may fail": rollout.Rolling{MaxParallel: rollout.Percent(50), MaxFailures: 1, Order: []string{"app-3"}},
		"all at once":         rollout.AllAtOnce{MinHealthyTime: enough},
		"canary by instances": rollout.Canary{Steps: []rollout.CanaryStep{{Instances: rollout.Count(1), Pause: time.Second}}, MaxParallel: rollout.Percent(100)},
		"canary by weight":    rollout.Canary{Steps: []rollout.CanaryStep{{Weight: 10, Pause: time.Second}, {Weight: 60}}},
		"blue green":          rollout.BlueGreen{MinHealthyTime: enough, KeepOld: 3 * time.Second},
	}
}

// hooked gives a plan everything that can be cut off.
func hooked(plan rollout.Plan, strategy rollout.Strategy) rollout.Plan {
	plan.Strategy = strategy
	plan.Tasks = rollout.Tasks{Before: rollout.Command{Command: "migrate"}, After: rollout.Command{Command: "announce"}}
	if len(strategy.Needs()) == 0 {
		plan.Hooks = rollout.Hooks{Drain: rollout.Command{Command: "drain"}, Undrain: rollout.Command{Command: "undrain"}}
	}
	return plan
}

// begin sets a scenario up in a fresh rig, which watches that every instance
// runs the old or the new revision, or nothing where that is the old or the new.
func (s scenario) begin(r *rig) rollout.Plan {
	plan := s.setup(r)
	plan.Lease = 9 * time.Second
	plan.LockTimeout = time.Minute
	plan.Health.HealthyDeadline = 4 * time.Second
	if s.old != "" {
		plan.Generation = 1
	}
	if s.bad {
		r.fleet.Health = failing(s.new, "app-3")
	}
	r.fleet.Changed = func(instance, revision string) {
		if revision != s.old && revision != s.new && revision != "" {
			r.Errorf("%s runs %q, which is neither old nor new", instance, revision)
		}
	}
	return plan
}

func (s scenario) run(ctx context.Context, r *rig, plan rollout.Plan) (rollout.Outcome, *rollout.Error) {
	if s.destroy {
		return r.destroy(ctx, plan)
	}
	return r.roll(ctx, plan)
}

// again runs a plan made after the cut, as the next apply would.
func (s scenario) again(r *rig, plan rollout.Plan, killed, gone bool) {
	r.engine = nil
	state, err := r.fleet.Inspect(r.Context(), deployer.InspectRequest{Target: plan.Target, Previous: plan.Previous})
	if err != nil {
		r.Fatal(err)
	}
	plan.Generation = state.Generation
	plan.Operation.ID = "op-again"
	switch {
	case s.old != "":
	case killed || gone:
		plan.Owner, plan.Generation = "owner-2", 0 // Terraform has no state
	default:
		plan.Operation.Kind = deployer.OperationUpdate
	}
	if killed && s.old == "" && state.LastGood != nil {
		// Finished, but nobody was told: that is for an import.
		_, failed := r.roll(r.Context(), plan)
		wants(r.T, failed, rollout.ReasonForeign)
		plan.Operation.Kind, plan.MayAdopt = deployer.OperationAdopt, true
	}
	out, failed := s.run(r.Context(), r, plan)
	truthful(r.T, r.fleet, out)
	switch {
	case s.destroy:
		ok(r.T, failed)
		if !r.fleet.Empty() {
			r.Errorf("left %v", r.fleet.Runs())
		}
	case !s.bad:
		ok(r.T, failed)
		r.runs(r.everywhere(s.new))
	case failed == nil:
		r.Error("a bad revision was accepted")
	case s.old == "":
		if len(r.fleet.Runs()) > 0 || out.Gone && !r.fleet.Empty() {
			r.Errorf("left %v", r.fleet.Runs())
		}
	default:
		for place, revision := range r.fleet.Runs() {
			if revision != s.old && (!s.tolerates || place == "app-3") {
				r.Errorf("%s runs %s after the revert\n%v", place, revision, failed)
			}
		}
	}
	if r.fleet.Locked() {
		r.Error("still locked")
	}
	if beside := r.fleet.Beside(); len(beside) > 0 && len(out.Warnings) == 0 {
		r.Errorf("still runs beside what serves: %v", beside)
	}
	if rushed := r.fleet.Rushed(); len(rushed) > 0 {
		r.Errorf("got traffic before a check had passed: %v", rushed)
	}
	if starved := r.fleet.Starved(); len(starved) > 0 {
		r.Errorf("a revision with traffic was stopped on %v", starved)
	}
}

// TestCrashMatrix cuts every scenario off before and after every call of the
// deployer, in three ways, and runs it again.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	var points atomic.Int64
	t.Cleanup(func() { t.Logf("cut off at %d points", points.Load()) })
	for name, s := range scenarios() {
		for _, way := range []string{"killed", "cancelled", "plugin died"} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				for point := 1; ; point++ {
					more := false
					bubble(t, func(r *rig) { more = s.cut(r, way, point) })
					if !more || t.Failed() {
						if t.Failed() {
							t.Logf("at point %d", point)
						}
						return
					}
					points.Add(1)
				}
			})
		}
	}
}

// cut runs until a point, and then again. It returns false when the run ended
// before.
func (s scenario) cut(r *rig, way string, point int) bool {
	plan := s.begin(r)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var seen atomic.Int64
	r.engine = &rollout.Engine{Deployer: r.fleet, Description: r.fleet.Description(), Analyzer: contented{}}
	reached := false
	r.engine.Observe = func(e rollout.Event) {
		if e.Kind != rollout.EventCall || seen.Add(1) != int64(point) {
			return
		}
		reached = true
		switch way {
		case "killed":
			r.fleet.Die()
		case "cancelled":
			cancel()
		case "plugin died":
			r.fleet.Die()
			time.AfterFunc(500*time.Millisecond, r.fleet.Revive) // its host starts another one
		}
	}
	out, err := s.run(ctx, r, plan)
	if !reached {
		return false
	}
	if out.Inspected {
		truthful(r.T, r.fleet, out)
	}
	if err == nil && !s.destroy {
		for id, revision := range r.everywhere(s.new) {
			if r.fleet.Runs()[id] != revision {
				r.Errorf("no error, but %s runs %q", id, r.fleet.Runs()[id])
			}
		}
	}
	r.fleet.Revive()
	s.again(r, plan, way == "killed", out.Gone)
	return true
}

// contented finds nothing wrong.
type contented struct{}

func (contented) Analyze(context.Context, rollout.Gate) error { return nil }

// TestEveryChangeCarriesTheToken holds for whole runs with failures.
func TestEveryChangeCarriesTheToken(t *testing.T) {
	t.Parallel()
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				plan := s.begin(r)
				_, _ = s.run(r.Context(), r, plan)
				for _, c := range r.fleet.Calls() {
					if !slices.Contains([]string{"Acquire", "Inspect", "Check", "History"}, c.Method) && c.Token != "token-1" {
						r.Errorf("%s carries %q", c, c.Token)
					}
				}
			})
		})
	}
}
