// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var traffic = []deployer.Capability{deployer.CanStage, deployer.CanRetire, deployer.CanShift}

// update installs 1.0.0, lets change the plan of 1.1.0, and rolls.
func (r *rig) update(change func(*rollout.Plan)) (rollout.Outcome, *rollout.Error) {
	r.fleet.Install(r.target, owner, "1.0.0")
	plan := r.plan("1.1.0")
	change(&plan)
	return r.roll(r.Context(), plan)
}

// between are the calls after the beginning was recorded and before the end.
func (r *rig) between() string {
	text := strings.Join(r.methods(), "\n")
	_, text, _ = strings.Cut(text, "Record begin 1.1.0\n")
	text, _, _ = strings.Cut(text, "\nRecord end 1.1.0")
	return text
}

func (r *rig) did(want ...string) {
	r.Helper()
	if got := r.between(); got != strings.Join(want, "\n") {
		r.Errorf("did:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

// gates is an Analyzer that notes what it is asked, and finds fault at one.
type gates struct {
	asked []rollout.Gate
	bad   int // which one fails, from 1
}

func (g *gates) Analyze(_ context.Context, gate rollout.Gate) error {
	g.asked = append(g.asked, gate)
	if len(g.asked) == g.bad {
		return &deployer.Error{Code: deployer.CodeFailed, Message: "errors = 0.2, wanted < 0.01"}
	}
	return nil
}

func (r *rig) analyzed(bad int) *gates {
	g := &gates{bad: bad}
	r.engine = &rollout.Engine{Deployer: r.fleet, Description: r.fleet.Description(), Analyzer: g}
	return g
}

func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Script = on("Prepare", "app-2", "", rollouttest.Fault{Err: deployer.Errorf(deployer.CodeFailed, "disk full")})
		out, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.AllAtOnce{} })
		wants(r.T, err, rollout.ReasonFailed, "before any instance was switched", "disk full")
		if len(out.Switched) > 0 || len(r.fleet.Methods("Activate")) > 0 {
			r.Errorf("switched %v", out.Switched)
		}
		r.runs(r.everywhere("1.0.0"))
	})
	bubble(t, func(r *rig) {
		out, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.AllAtOnce{} })
		ok(r.T, err)
		if len(out.Batches) != 1 || len(out.Batches[0]) != 3 {
			r.Errorf("batches %v", out.Batches)
		}
	})
}

func TestOrderAndPause(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		begun := time.Now()
		out, err := r.update(func(p *rollout.Plan) {
			p.Strategy = rollout.Rolling{Order: []string{"app-3", "app-2"}, Pause: time.Hour}
		})
		ok(r.T, err)
		if want := []string{"app-3", "app-2", "app-1"}; !slices.Equal(out.Switched, want) {
			r.Errorf("switched %v, want %v", out.Switched, want)
		}
		if took := time.Since(begun).Truncate(time.Hour); took != 2*time.Hour {
			r.Errorf("it took %s", took)
		}
	})
}

// An instance that falls ill while the rollout pauses ends it.
func TestHealthAfterAPause(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Health = func(instance, revision string, n int) deployer.CheckResult {
			if instance == "app-1" && revision == "1.1.0" && n > 1 {
				return deployer.CheckResult{Status: deployer.CheckFail, Reason: "out of memory"}
			}
			return deployer.CheckResult{Status: deployer.CheckPass}
		}
		_, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.Rolling{Pause: time.Minute} })
		wants(r.T, err, rollout.ReasonFailed, "app-1: health check: it was healthy and is not any more: out of memory")
		r.runs(r.everywhere("1.0.0"))
		if len(r.fleet.Methods("Activate")) != 2 {
			r.Errorf("activated %v", r.fleet.Methods("Activate"))
		}
	})
}

func TestMaxFailures(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Health = failing("1.1.0", "app-2")
		out, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.Rolling{MaxFailures: 1} })
		wants(r.T, err, rollout.ReasonFailed, "2 of 3 instances have it", "put back to shop:1.0.0")
		r.runs(map[string]string{"app-1": "1.1.0", "app-2": "1.0.0", "app-3": "1.1.0"})
		truthful(r.T, r.fleet, out)
		if out.Result != deployer.OutcomeFailed || out.LastGood.ID != "1.0.0" {
			r.Errorf("result %s, last good %v", out.Result, out.LastGood)
		}
	})
	bubble(t, func(r *rig) {
		r.fleet.Health = failing("1.1.0", "app-1", "app-2")
		_, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.Rolling{MaxFailures: 1} })
		wants(r.T, err, rollout.ReasonFailed, "every switched instance was put back")
		r.runs(r.everywhere("1.0.0"))
	})
}

func TestCanaryByInstances(t *testing.T) {
	t.Parallel()
	ids := []string{"app-0", "app-1", "app-2", "app-3", "app-4", "app-5", "app-6", "app-7", "app-8", "app-9"}
	steps := []rollout.CanaryStep{
		{Instances: rollout.Count(1), Pause: time.Minute, Analyses: []string{"errors"}},
		{Instances: rollout.Percent(50), Analyses: []string{}},
	}
	bubble(t, func(r *rig) {
		g := r.analyzed(0)
		out, err := r.update(func(p *rollout.Plan) {
			p.Strategy = rollout.Canary{Steps: steps, MaxParallel: rollout.Count(3)}
		})
		ok(r.T, err)
		var sizes []int
		for _, b := range out.Batches {
			sizes = append(sizes, len(b))
		}
		if want := []int{1, 3, 1, 3, 2}; !slices.Equal(sizes, want) {
			r.Errorf("batches of %v, want %v", sizes, want)
		}
		if len(g.asked) != 2 || len(g.asked[0].Instances) != 1 || g.asked[0].Analyses[0] != "errors" || !g.asked[1].Last || len(g.asked[1].Instances) != 10 {
			r.Errorf("analyzed %+v", g.asked)
		}
	}, ids...)
	bubble(t, func(r *rig) {
		r.analyzed(1)
		_, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.Canary{Steps: steps} })
		wants(r.T, err, rollout.ReasonFailed, "at analysis", "errors = 0.2", "every switched instance was put back")
		r.runs(r.everywhere("1.0.0"))
		if n := len(r.fleet.Methods("Activate")); n != 2 {
			r.Errorf("%d activations", n)
		}
	}, ids...)
}

func TestCanaryByWeight(t *testing.T) {
	t.Parallel()
	canary := rollout.Canary{Steps: []rollout.CanaryStep{{Weight: 10, Pause: time.Minute}, {Weight: 50}}}
	bubble(t, func(r *rig) {
		r.fleet.With = traffic
		g := r.analyzed(0)
		out, err := r.update(func(p *rollout.Plan) { p.Strategy = canary })
		ok(r.T, err)
		r.did("Prepare app-1 1.1.0", "Stage app-1 1.1.0", "Shift", "Shift", "Shift", "Activate app-1 1.1.0", "Retire app-1 1.0.0")
		if len(g.asked) != 3 || !g.asked[2].Last {
			r.Errorf("analyzed %+v", g.asked)
		}
		truthful(r.T, r.fleet, out)
	}, "app-1")
	bubble(t, func(r *rig) {
		r.fleet.With = traffic
		r.analyzed(2)
		out, err := r.update(func(p *rollout.Plan) { p.Strategy = canary })
		wants(r.T, err, rollout.ReasonFailed, "at analysis", "still runs shop:1.0.0")
		r.did("Prepare app-1 1.1.0", "Stage app-1 1.1.0", "Shift", "Shift", "Inspect", "Shift", "Inspect", "Inspect", "Retire app-1 1.1.0")
		if got := r.fleet.Shares(); !maps.Equal(got, map[string]int{"1.0.0": 1000}) {
			r.Errorf("shares %v", got)
		}
		truthful(r.T, r.fleet, out)
	}, "app-1")
}

func TestBlueGreen(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.With = traffic
		begun := time.Now()
		_, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.BlueGreen{KeepOld: time.Hour} })
		ok(r.T, err)
		r.did("Prepare app-1 1.1.0", "Stage app-1 1.1.0", "Shift", "Activate app-1 1.1.0", "Retire app-1 1.0.0")
		if time.Since(begun) < time.Hour {
			r.Error("the old one was not kept")
		}
	}, "app-1")
	bubble(t, func(r *rig) { // a revision that is not healthy never gets traffic
		r.fleet.With = traffic
		r.fleet.Health = failing("1.1.0", "app-2")
		_, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.BlueGreen{} })
		wants(r.T, err, rollout.ReasonFailed, "before any instance was switched")
		if len(r.fleet.Methods("Shift")) > 0 || len(r.fleet.Beside()) > 0 {
			r.Errorf("calls %v, beside %v", r.methods(), r.fleet.Beside())
		}
	})
	bubble(t, func(r *rig) { // one that falls ill while the old one is kept goes back at once
		r.fleet.With = traffic
		sick := false
		r.fleet.Health = func(_, revision string, _ int) deployer.CheckResult {
			if sick && revision == "1.1.0" {
				return deployer.CheckResult{Status: deployer.CheckDead, Reason: "out of memory"}
			}
			return deployer.CheckResult{Status: deployer.CheckPass}
		}
		defer time.AfterFunc(30*time.Minute, func() { sick = true }).Stop()
		_, err := r.update(func(p *rollout.Plan) { p.Strategy = rollout.BlueGreen{KeepOld: time.Hour} })
		wants(r.T, err, rollout.ReasonFailed, "out of memory", "every switched instance was put back")
		r.did("Prepare app-1 1.1.0", "Stage app-1 1.1.0", "Shift", "Activate app-1 1.1.0", "Inspect", "Shift", "Inspect", "Inspect", "Retire app-1 1.1.0")
		r.runs(r.everywhere("1.0.0"))
	}, "app-1")
}

func TestTasks(t *testing.T) {
	t.Parallel()
	tasks := rollout.Tasks{Before: rollout.Command{Command: "migrate"}, After: rollout.Command{Command: "announce"}}
	failed := rollouttest.Fault{Err: deployer.Errorf(deployer.CodeFailed, "no such table")}
	command := func(name string, f rollouttest.Fault) func(rollouttest.Call) rollouttest.Fault {
		return func(c rollouttest.Call) rollouttest.Fault {
			if c.Command == name {
				return f
			}
			return rollouttest.Fault{}
		}
	}
	bubble(t, func(r *rig) {
		_, err := r.update(func(p *rollout.Plan) { p.Tasks = tasks })
		ok(r.T, err)
		r.did("Prepare app-1 1.1.0", "Run migrate app-1 1.1.0", "Activate app-1 1.1.0", "Run announce app-1 1.1.0")
		plan := r.plan("1.1.0")
		plan.Tasks, plan.Generation = tasks, 3
		r.fleet.Edit("app-1", func(p *rollouttest.Place) { p.Health = deployer.HealthStopped })
		_, err = r.roll(r.Context(), plan)
		ok(r.T, err)
		if n := len(r.fleet.Methods("Run")); n != 2 {
			r.Errorf("a repair ran tasks: %d commands", n)
		}
	}, "app-1")
	bubble(t, func(r *rig) {
		r.fleet.Script = command("migrate", failed)
		_, err := r.update(func(p *rollout.Plan) { p.Tasks = tasks })
		wants(r.T, err, rollout.ReasonFailed, "on app-1 at tasks.before", "no such table", "before any instance was switched")
		r.runs(r.everywhere("1.0.0"))
	})
	bubble(t, func(r *rig) {
		r.fleet.Script = command("announce", failed)
		_, err := r.update(func(p *rollout.Plan) { p.Tasks = tasks })
		wants(r.T, err, rollout.ReasonFailed, "at tasks.after", "every switched instance was put back")
		r.runs(r.everywhere("1.0.0"))
	})
}

func TestHooks(t *testing.T) {
	t.Parallel()
	hooks := rollout.Hooks{Drain: rollout.Command{Command: "drain"}, Undrain: rollout.Command{Command: "undrain"}}
	failed := func(name, revision string) func(rollouttest.Call) rollouttest.Fault {
		return func(c rollouttest.Call) rollouttest.Fault {
			if c.Command == name && (revision == "" || c.Revision == revision) {
				return rollouttest.Fault{Err: deployer.Errorf(deployer.CodeFailed, "no balancer")}
			}
			return rollouttest.Fault{}
		}
	}
	bubble(t, func(r *rig) {
		_, err := r.update(func(p *rollout.Plan) { p.Hooks = hooks })
		ok(r.T, err)
		r.did("Prepare app-1 1.1.0", "Run drain app-1 1.0.0", "Activate app-1 1.1.0", "Run undrain app-1 1.1.0")
	}, "app-1")
	bubble(t, func(r *rig) { // what was not switched is not left drained
		r.fleet.Script = failed("drain", "")
		_, err := r.update(func(p *rollout.Plan) { p.Hooks = hooks })
		wants(r.T, err, rollout.ReasonFailed, "on app-1 at drain", "no balancer")
		r.did("Prepare app-1 1.1.0", "Run drain app-1 1.0.0", "Inspect", "Run undrain app-1 1.0.0")
	}, "app-1")
	bubble(t, func(r *rig) { // the way back is not held up
		r.fleet.Health = failing("1.1.0", "app-1")
		r.fleet.Script = failed("undrain", "1.0.0")
		out, err := r.update(func(p *rollout.Plan) { p.Hooks = hooks })
		wants(r.T, err, rollout.ReasonFailed, "every switched instance was put back")
		r.runs(r.everywhere("1.0.0"))
		if !slices.ContainsFunc(out.Warnings, func(w string) bool { return strings.Contains(w, "undrain failed: no balancer") }) {
			r.Errorf("warnings %q", out.Warnings)
		}
	}, "app-1")
	bubble(t, func(r *rig) { // a newcomer has no traffic to take off
		_, err := r.roll(r.Context(), func() rollout.Plan { p := r.create("1.1.0"); p.Hooks = hooks; return p }())
		ok(r.T, err)
		r.did("Prepare app-1 1.1.0", "Activate app-1 1.1.0", "Run undrain app-1 1.1.0")
	}, "app-1")
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	answers := func(statuses string) func(string, string, int) deployer.CheckResult {
		return func(_, revision string, n int) deployer.CheckResult {
			if revision != "1.1.0" || n > len(statuses) || statuses[n-1] == '+' {
				return deployer.CheckResult{Status: deployer.CheckPass}
			}
			return deployer.CheckResult{Status: deployer.CheckFail, Reason: "500"}
		}
	}
	bubble(t, func(r *rig) {
		r.fleet.Health = answers("+-++-+++")
		_, err := r.update(func(p *rollout.Plan) { p.Health.HealthyThreshold, p.Strategy = 3, rollout.Rolling{} })
		ok(r.T, err)
		if n := len(r.fleet.Methods("Check")); n != 8 {
			r.Errorf("%d checks", n)
		}
	}, "app-1")
	bubble(t, func(r *rig) {
		r.fleet.Health = answers(strings.Repeat("-", 30))
		_, err := r.update(func(p *rollout.Plan) { p.Health.UnhealthyThreshold, p.Strategy = 2, rollout.Rolling{} })
		wants(r.T, err, rollout.ReasonFailed, "it answered badly 2 times in a row: 500")
	}, "app-1")
	bubble(t, func(r *rig) {
		r.fleet.Health = answers("-----")
		_, err := r.update(func(p *rollout.Plan) {
			p.Health.UnhealthyThreshold, p.Health.StartPeriod, p.Strategy = 2, 30*time.Second, rollout.Rolling{}
		})
		ok(r.T, err)
	}, "app-1")
}

func TestRefuseFailed(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Health = failing("1.1.0", "app-1")
		_, err := r.update(func(*rollout.Plan) {})
		wants(r.T, err, rollout.ReasonFailed)
		plan := r.plan("1.1.0")
		plan.Generation, plan.Revert.RefuseFailed = 3, true
		before := len(r.fleet.Methods("Prepare"))
		_, err = r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonFailedBefore, "shop:1.1.0 (revision 1.1.0) failed on this target at", "retry_failed")
		if len(r.fleet.Methods("Prepare")) != before {
			r.Error("it was tried")
		}
		r.fleet.Health = nil
		plan.Revert.RefuseFailed = false
		_, err = r.roll(r.Context(), plan)
		ok(r.T, err)
	})
}

func TestRevertHasALimit(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Health = failing("1.1.0", "app-3")
		r.fleet.Script = on("Activate", "app-2", "1.0.0", rollouttest.Fault{Wait: takes(90 * time.Second)})
		begun := time.Now()
		_, err := r.update(func(p *rollout.Plan) { p.Revert.Timeout = time.Minute; p.Strategy = rollout.Rolling{} })
		wants(r.T, err, rollout.ReasonFailed, "not every instance could be put back", "app-1: could not be put back")
		if took := time.Since(begun); took > 5*time.Minute {
			r.Errorf("it took %s", took)
		}
	})
}

// What Acquire saw is not looked at again.
func TestTheLockThatLooks(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.engine = &rollout.Engine{Deployer: looking{r.fleet}, Description: r.fleet.Description()}
		_, err := r.roll(r.Context(), r.plan("1.1.0"))
		ok(r.T, err)
		if n := len(r.fleet.Methods("Inspect")); n != 1 {
			r.Errorf("looked %d times", n)
		}
	})
}

type looking struct{ *rollouttest.Fleet }

func (l looking) Acquire(ctx context.Context, req deployer.AcquireRequest) (deployer.Lock, error) {
	lock, err := l.Fleet.Acquire(ctx, req)
	state, lookErr := l.Inspect(ctx, deployer.InspectRequest{Target: req.Target, Previous: req.Previous})
	lock.State = &state
	return lock, errors.Join(err, lookErr)
}

func TestTheStory(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Health = failing("1.1.0", "app-2")
		out, _ := r.update(func(p *rollout.Plan) { p.Tasks.Before.Command = "migrate" })
		if len(out.Entries) != 2 || out.Entries[0].Phase != deployer.PhaseBegin || out.Entries[1].Outcome != deployer.OutcomeReverted {
			r.Fatalf("entries %+v", out.Entries)
		}
		var names []string
		for _, s := range out.Entries[1].Steps {
			names = append(names, s.Name)
			if s.Ended.Before(s.Started) {
				r.Errorf("%s ended before it began", s.Name)
			}
		}
		if want := []string{"prepare", "tasks.before", "switch", "switch", "revert"}; !slices.Equal(names, want) || out.Entries[1].Steps[3].Error == "" {
			r.Errorf("steps %+v", out.Entries[1].Steps)
		}
		ledger := r.fleet.Ledger("app-1")
		if last := ledger[len(ledger)-1]; last.Strategy != "rolling" || len(last.Steps) != len(names) {
			r.Errorf("ledger %+v", last)
		}
	})
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"1": 1, "3": 3, "99": 10, "25%": 2, "1%": 1, "100%": 10} {
		a, err := rollout.ParseAmount(text)
		if err != nil || a.Of(10) != want || a.String() != text {
			t.Errorf("%s of 10 is %d as %s, %v; want %d", text, a.Of(10), a, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "101%", "0%", "%", "1.5", "one"} {
		if a, err := rollout.ParseAmount(text); err == nil {
			t.Errorf("%q is %v", text, a)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	desired, state := world(4, 0)
	for want, strategy := range map[string]rollout.Strategy{
		"app-0000, then app-0001, then app-0002, then app-0003": nil,
		"app-0000 + app-0001 + app-0002 + app-0003":             rollout.AllAtOnce{},
		"app-0002 (waits 1m0s, analyses), then app-0000 + app-0001, then app-0003": rollout.Canary{
			Steps: []rollout.CanaryStep{{Instances: rollout.Count(1), Pause: time.Minute}}, MaxParallel: rollout.Count(2), Order: []string{"app-0002"},
		},
		"staged on app-0000 + app-0001 + app-0002 + app-0003 and checked there, then 10 % of the traffic (analyses errors), then all traffic; what served before is retired last": rollout.Canary{
			Steps: []rollout.CanaryStep{{Weight: 10, Analyses: []string{"errors"}}},
		},
		"staged on app-0000 + app-0001 + app-0002 + app-0003 and checked there, then all traffic (waits 10m0s); what served before is retired last": rollout.BlueGreen{KeepOld: 10 * time.Minute},
	} {
		if got := rollout.Describe(desired, state, "1.1.0", strategy); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := rollout.Describe(desired, deployer.TargetState{Instances: nil}, "1.1.0", rollout.Rolling{}); !strings.HasPrefix(got, "app-0000") {
		t.Errorf("a first deployment is %q", got)
	}
}
