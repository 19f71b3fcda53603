// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// chance is a random fleet with random trouble, the same for the same seed as
// far as parallel calls come in the same order.
type chance struct {
	*rig
	mu       sync.Mutex
	random   *rand.Rand
	calm     bool // no more trouble
	parallel int
	// tolerated is how many failures do not end the rollout.
	tolerated int
	before    map[string]string // by place
	out       map[string]bool   // switched to the new revision, not seen healthy since
	switched  []string          // where the new revision was activated, in order
	back      []string          // where something was put back, in order
}

const (
	oldest = "0.9.0"
	good   = "1.0.0"
	wanted = "1.1.0"
)

func TestInvariantsUnderChance(t *testing.T) {
	t.Parallel()
	const seeds = 1600
	for worker := range 4 {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			for seed := worker; seed < seeds && !t.Failed(); seed += 4 {
				bubble(t, func(r *rig) {
					c := &chance{rig: r, random: rand.New(rand.NewPCG(uint64(seed), 1)), out: map[string]bool{}}
					c.try()
				})
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}
		})
	}
}

func (c *chance) one(in int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(in) == 0
}

func (c *chance) upTo(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func (c *chance) try() {
	plan := c.set()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if c.one(4) {
		defer time.AfterFunc(time.Duration(c.upTo(40))*time.Second, cancel).Stop()
	}
	out, err := c.roll(ctx, plan)
	c.judge(plan, out, err)
	if c.Failed() {
		c.Logf("%T %+v", plan.Strategy, plan.Strategy)
		for _, call := range c.fleet.Calls() {
			c.Log(call)
		}
	}

	// And when the trouble is over, the next apply converges.
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	c.engine = nil
	for place := range c.before {
		c.fleet.Edit(place, func(p *rollouttest.Place) { p.Unreachable = "" })
	}
	state, inspectErr := c.fleet.Inspect(c.Context(), deployer.InspectRequest{Target: plan.Target, Previous: plan.Previous})
	if inspectErr != nil {
		c.Fatal(inspectErr)
	}
	plan.Generation, plan.LockTimeout = state.Generation, 10*time.Minute
	out, err = c.roll(c.Context(), plan)
	ok(c.T, err)
	c.runs(c.everywhere(wanted))
	truthful(c.T, c.fleet, out)
	again := c.fleet.Calls()
	_, err = c.roll(c.Context(), plan2(plan, out))
	ok(c.T, err)
	if beside := c.fleet.Beside(); len(beside) > 0 && len(out.Warnings) == 0 {
		c.Errorf("still runs beside what serves: %v", beside)
	}
	for _, call := range c.fleet.Calls()[len(again):] {
		if !slices.Contains([]string{"Acquire", "Inspect", "Release"}, call.Method) {
			c.Errorf("a second apply still does %s", call)
		}
	}
}

// plan2 is the plan after a success.
func plan2(plan rollout.Plan, out rollout.Outcome) rollout.Plan {
	plan.Generation, plan.Previous = out.Generation, nil
	return plan
}

// set makes a fleet with a past, and a plan.
func (c *chance) set() rollout.Plan {
	var ids []string
	for n := range 1 + c.upTo(6) {
		ids = append(ids, fmt.Sprintf("app-%d", n))
	}
	c.target = rollouttest.Target(ids...)
	if c.one(4) {
		c.fleet.Without = []deployer.Capability{deployer.Atomic}
	}
	past := c.target
	if c.one(3) {
		past = rollouttest.Target(slices.Concat(ids[:1+c.upTo(len(ids))], []string{"leaving"})...)
	}
	first := c.one(5)
	if !first {
		c.fleet.Install(past, owner, oldest)
		c.fleet.Install(past, owner, good)
		for _, id := range ids {
			if c.one(6) && c.fleet.Runs()[id] != "" {
				c.fleet.Edit(id, c.someEdit())
			}
		}
	}
	c.before = c.fleet.Runs()
	for _, id := range ids {
		if _, ok := c.before[id]; !ok {
			c.before[id] = ""
		}
	}
	plan := c.plan(wanted)
	if first {
		plan = c.create(wanted)
	} else {
		plan.Generation, plan.Previous = 2, &past
	}
	plan.Strategy = c.strategy(len(ids))
	if len(plan.Strategy.Needs()) > 0 || c.one(3) {
		c.fleet.With = []deployer.Capability{deployer.CanStage, deployer.CanRetire, deployer.CanShift}
	}
	if c.one(2) {
		plan.Tasks = rollout.Tasks{Before: rollout.Command{Command: "migrate"}, After: rollout.Command{Command: "announce"}}
	}
	if len(plan.Strategy.Needs()) == 0 && c.one(2) {
		plan.Hooks = rollout.Hooks{Drain: rollout.Command{Command: "drain"}, Undrain: rollout.Command{Command: "undrain"}}
	}
	plan.Health.HealthyDeadline = 10 * time.Second
	plan.Lease = 30 * time.Second
	plan.Revert = rollout.Revert{Automatic: !c.one(4), OnCancel: c.one(2)}
	c.fleet.Script, c.fleet.Health = c.script(1+c.upTo(4)), c.health(c.one(2))
	return plan
}

// strategy is any, for so many instances.
func (c *chance) strategy(all int) rollout.Strategy {
	enough := time.Duration(c.upTo(4)) * time.Second
	pause := time.Duration(c.upTo(3)) * time.Second
	c.parallel = all
	switch c.upTo(6) {
	case 0:
		return rollout.AllAtOnce{MinHealthyTime: enough}
	case 1:
		return rollout.BlueGreen{MinHealthyTime: enough, KeepOld: pause}
	case 2:
		return rollout.Canary{Steps: []rollout.CanaryStep{{Weight: 1 + c.upTo(50), Pause: pause}, {Weight: 51 + c.upTo(50)}}, MinHealthyTime: enough}
	case 3:
		c.parallel = 1 + c.upTo(3)
		return rollout.Canary{Steps: []rollout.CanaryStep{{Instances: rollout.Count(1), Pause: pause}}, MaxParallel: rollout.Count(c.parallel), MinHealthyTime: enough}
	case 4:
		percent := 1 + c.upTo(100)
		c.parallel = max(1, all*percent/100)
		return rollout.Rolling{MaxParallel: rollout.Percent(percent), MinHealthyTime: enough, Pause: pause}
	}
	c.parallel, c.tolerated = 1+c.upTo(3), c.upTo(3)
	return rollout.Rolling{MaxParallel: rollout.Count(c.parallel), MaxFailures: c.tolerated, MinHealthyTime: enough}
}

func (c *chance) someEdit() func(*rollouttest.Place) {
	return []func(*rollouttest.Place){
		func(p *rollouttest.Place) { p.Serving = oldest },
		func(p *rollouttest.Place) { p.Health = deployer.HealthStopped },
		func(p *rollouttest.Place) { p.Lost = []string{oldest} },
		func(p *rollouttest.Place) { p.Drift = []deployer.Drift{{What: "service"}} },
	}[c.upTo(4)]
}

// script fails some calls, and watches what must always hold.
func (c *chance) script(trouble int) func(rollouttest.Call) rollouttest.Fault {
	return func(call rollouttest.Call) rollouttest.Fault {
		c.watch(call)
		c.mu.Lock()
		calm := c.calm
		c.mu.Unlock()
		if calm || !c.one(30/trouble) {
			return rollouttest.Fault{}
		}
		code := []deployer.Code{deployer.CodeFailed, deployer.CodeUnreachable, deployer.CodePluginGone}[c.upTo(3)]
		fault := rollouttest.Fault{Err: deployer.Errorf(code, "chance"), After: c.one(2)}
		if call.Method == "Activate" && slices.Contains(c.fleet.Without, deployer.Atomic) {
			fault.Between = c.one(2)
		}
		if call.Method == "Acquire" {
			fault.After = false
		}
		switch {
		case c.one(10):
			fault.Do = c.fleet.Steal
		case call.Instance != "" && c.one(4):
			fault = rollouttest.Fault{Do: func() { c.cutOff(call.Instance) }}
		}
		return fault
	}
}

// cutOff makes a host unreachable for a while, which may be longer than a lease.
func (c *chance) cutOff(id string) {
	reach := func(why string) {
		c.fleet.Edit(id, func(p *rollouttest.Place) { p.Unreachable = why })
	}
	reach("no route to host")
	time.AfterFunc(time.Duration(c.upTo(60))*time.Second, func() { reach("") })
}

func (c *chance) watch(call rollouttest.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.calm:
	case call.Method == "Prepare" && len(c.switched) > 0:
		c.Errorf("%s after the first switch", call)
	case call.Method == "Activate" && call.Revision == wanted:
		if len(c.back) > c.tolerated {
			c.Errorf("%s after the first return", call)
		}
		c.out[call.Instance] = true
		c.switched = append(c.switched, call.Instance)
		if len(c.out) > c.parallel+c.tolerated {
			c.Errorf("%d out at once, at most %d: %v", len(c.out), c.parallel+c.tolerated, c.out)
		}
	case call.Method == "Activate", call.Method == "Remove" && call.Instance != "leaving":
		c.back = append(c.back, call.Instance)
		delete(c.out, call.Instance)
	}
}

// health is good in the end; a bad revision fails somewhere for good.
func (c *chance) health(bad bool) func(string, string, int) deployer.CheckResult {
	sick := fmt.Sprintf("app-%d", c.upTo(6))
	return func(instance, revision string, _ int) deployer.CheckResult {
		chance := c.one(5)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.calm && (chance || bad && instance == sick && revision == wanted) {
			return deployer.CheckResult{Status: deployer.CheckFail, Reason: "not yet"}
		}
		if revision == wanted {
			delete(c.out, instance)
		}
		return deployer.CheckResult{Status: deployer.CheckPass}
	}
}

// judge checks what must hold after any end.
func (c *chance) judge(plan rollout.Plan, out rollout.Outcome, err *rollout.Error) {
	if rushed := c.fleet.Rushed(); len(rushed) > 0 {
		c.Errorf("got traffic before a check had passed: %v", rushed)
	}
	if starved := c.fleet.Starved(); len(starved) > 0 {
		c.Errorf("a revision with traffic was stopped on %v", starved)
	}
	truth := c.fleet.Runs()
	if out.Inspected {
		truthful(c.T, c.fleet, out)
	}
	all := true
	for _, d := range plan.Desired {
		runs := truth[d.Place]
		all = all && runs == wanted
		if !slices.Contains([]string{c.before[d.Place], good, wanted, ""}, runs) {
			c.Errorf("%s ran %q and now runs %q", d.ID, c.before[d.Place], runs)
		}
		if runs == "" && c.before[d.Place] != "" {
			c.Errorf("%s ran %s and now runs nothing", d.ID, c.before[d.Place])
		}
	}
	if err == nil && (!all || out.Result != deployer.OutcomeSucceeded) {
		c.Errorf("no error, but %v, result %q", truth, out.Result)
	}
	if err != nil && (err.Error() == "" || err.Reason == "") {
		c.Errorf("an error without reason: %#v", err)
	}
	if out.Gone && !c.fleet.Empty() {
		c.Errorf("gone, but %v", truth)
	}
	if out.Result == deployer.OutcomeReverted && !out.Gone {
		for _, back := range out.Reverted {
			if truth[back.Instance] != back.To {
				c.Errorf("%s was put back to %q, but runs %q", back.Instance, back.To, truth[back.Instance])
			}
		}
	}
	c.judgeOrder(out)
}

// judgeOrder: the last batch goes back first.
func (c *chance) judgeOrder(out rollout.Outcome) {
	batch := map[string]int{}
	for n, ids := range out.Batches {
		for _, id := range ids {
			batch[id] = n
		}
	}
	if out.Gone || len(out.Reverted) == 0 || c.tolerated > 0 {
		return // taking off has no order, and a tolerated failure is put back at once
	}
	for n := 1; n < len(c.back); n++ {
		if batch[c.back[n]] > batch[c.back[n-1]] {
			c.Errorf("put back in the order %v of the batches %v", c.back, out.Batches)
			return
		}
	}
}
