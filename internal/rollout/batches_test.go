// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// world is a fleet of which some instances run a revision already, verified.
func world(all, done int) ([]deployer.DesiredInstance, deployer.TargetState) {
	var ids []string
	for n := range all {
		ids = append(ids, fmt.Sprintf("app-%04d", n))
	}
	target := rollouttest.Target(ids...)
	good := rollouttest.Revision("1.1.0").RevisionInfo
	state := deployer.TargetState{LastGood: &good}
	desired := rollouttest.Desired(target)
	for n, d := range desired {
		runs := "1.0.0"
		if n < done {
			runs = "1.1.0"
		}
		state.Instances = append(state.Instances, deployer.Instance{ID: d.ID, Desired: true, Slots: []deployer.Slot{{
			Role: deployer.RoleServing, Revision: rollouttest.Revision(runs).RevisionInfo, Health: deployer.HealthHealthy,
		}}})
	}
	return desired, state
}

func amounts() *rapid.Generator[rollout.Amount] {
	return rapid.Custom(func(t *rapid.T) rollout.Amount {
		if rapid.Bool().Draw(t, "relative") {
			return rollout.Percent(rapid.IntRange(1, 100).Draw(t, "percent"))
		}
		return rollout.Count(rapid.IntRange(1, 60).Draw(t, "count"))
	})
}

// Whatever the strategy: who has to be switched is switched once, in batches that
// are not too large, the named ones first, the same for the same inputs.
func TestBatchesOfAnyStrategy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.IntRange(1, 50).Draw(t, "all")
		done := rapid.IntRange(0, all).Draw(t, "done")
		desired, state := world(all, done)
		most := amounts().Draw(t, "max_parallel")
		first := desired[rapid.IntRange(0, all-1).Draw(t, "first")].ID
		size := most.Of(all)
		var strategy rollout.Strategy
		switch rapid.SampledFrom([]string{"rolling", "all_at_once", "canary", "weight", "blue_green"}).Draw(t, "strategy") {
		case "rolling":
			strategy = rollout.Rolling{MaxParallel: most, Order: []string{first}}
		case "canary":
			strategy = rollout.Canary{MaxParallel: most, Order: []string{first}, Steps: []rollout.CanaryStep{
				{Instances: amounts().Draw(t, "step 1")}, {Instances: amounts().Draw(t, "step 2")},
			}}
		case "weight":
			strategy, size = rollout.Canary{Steps: []rollout.CanaryStep{{Weight: 10}}}, all
		case "blue_green":
			strategy, size = rollout.BlueGreen{}, all
		default:
			strategy, size = rollout.AllAtOnce{}, all
		}
		batches := rollout.Batches(desired, state, "1.1.0", strategy)
		if again := rollout.Batches(desired, state, "1.1.0", strategy); fmt.Sprint(again) != fmt.Sprint(batches) {
			t.Fatalf("%v, and then %v", batches, again)
		}
		for _, b := range batches {
			if len(b) == 0 || len(b) > size {
				t.Fatalf("a batch of %d, at most %d: %v", len(b), size, batches)
			}
		}
		switched := slices.Concat(batches...)
		if slices.Contains(switched, first) && size < all && switched[0] != first {
			t.Fatalf("%s is not first in %v", first, switched)
		}
		slices.Sort(switched)
		var want []string
		for _, d := range desired[done:] {
			want = append(want, d.ID)
		}
		if !slices.Equal(switched, want) {
			t.Fatalf("switched %v, want %v", switched, want)
		}
	})
}

// planningMost is how long planning for a thousand instances may take.
const planningMost = 10 * time.Millisecond

func TestPlanningIsFast(t *testing.T) {
	t.Parallel()
	result := testing.Benchmark(BenchmarkPlanning)
	if took := time.Duration(result.NsPerOp()); took > planningMost {
		t.Errorf("planning for 1,000 instances took %s, more than %s", took, planningMost)
	}
}

// BenchmarkPlanning plans for 1,000 instances.
func BenchmarkPlanning(b *testing.B) {
	desired, state := world(1000, 100)
	strategy := rollout.Canary{MaxParallel: rollout.Percent(5), Steps: []rollout.CanaryStep{{Instances: rollout.Percent(1)}}}
	for b.Loop() {
		rollout.Batches(desired, state, "1.1.0", strategy)
	}
}
