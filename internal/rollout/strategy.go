// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Strategy decides in which waves instances are switched, and what has to hold
// in between. The strategies are in this package.
type Strategy interface {
	// Name is what users write, such as "blue_green".
	Name() string
	// Needs lists the capabilities that a deployer must have.
	Needs() []deployer.Capability
	// waves cuts the instances that have to be switched, in their order, into
	// waves; all is how many instances the target has.
	waves(all int, ids []string) []wave
	// shares are the steps by which traffic moves before anything is activated, if
	// the revision is staged everywhere first; nil: it is not.
	shares() []shareStep
	// minHealthy is how long an instance must have been healthy without a break.
	minHealthy() time.Duration
}

// wave is a batch of instances that are switched at once, and what has to hold
// before the next one.
type wave struct {
	ids  []string
	gate gate
}

// gate is a pause, and the analyses that must hold after it.
type gate struct {
	pause   time.Duration
	analyze bool
	names   []string // of the analyses; nil: all
}

// shareStep gives the new revision a share of the traffic, in thousandths.
type shareStep struct {
	thousandths int
	gate        gate
}

// Rolling switches some instances at a time, and goes on when they are healthy.
type Rolling struct {
	MaxParallel Amount // instances switched at once; zero: 1
	// MaxFailures is how many instances may fail before the rollout is given up.
	// One that fails is put back by itself, and the rollout is an error all the
	// same. A first deployment tolerates none.
	MaxFailures    int
	MinHealthyTime time.Duration // an instance must stay healthy this long
	Pause          time.Duration // between batches
	// Order names instances that go first, in this order; the others follow in
	// theirs.
	Order []string
}

// AllAtOnce prepares everywhere and then switches everywhere.
type AllAtOnce struct {
	MinHealthyTime time.Duration
}

// Canary brings the revision to a part of the users first, step by step, and
// to the rest when every step has held.
type Canary struct {
	Steps          []CanaryStep // at least one
	MaxParallel    Amount       // instances switched at once; zero: 1
	MinHealthyTime time.Duration
	Order          []string // as in Rolling
}

// CanaryStep is one widening. Exactly one of Instances and Weight is set, in all
// steps of a Canary the same one, each more than the one before.
type CanaryStep struct {
	Instances Amount // how many run the revision after the step
	// Weight is the share of traffic in percent, 1 to 100, for deployers that can
	// Stage, Retire and Shift.
	Weight int
	Pause  time.Duration // after the step, before its analyses
	// Analyses name what must hold after the pause; nil: every analysis, empty:
	// none.
	Analyses []string
}

// BlueGreen stages the revision everywhere beside the one that serves, checks
// it, switches the traffic of each scope with one call, and retires what served
// before when the new one has held for KeepOld. It needs a deployer that can
// Stage and Retire; one that cannot Shift switches every instance at once.
type BlueGreen struct {
	MinHealthyTime time.Duration // of the staged revision, before the switch
	KeepOld        time.Duration // the old one stays, for an instant return
}

var (
	_ Strategy = Rolling{}
	_ Strategy = AllAtOnce{}
	_ Strategy = Canary{}
	_ Strategy = BlueGreen{}
)

// Name implements [Strategy].
func (Rolling) Name() string { return "rolling" }

// Needs implements [Strategy].
func (Rolling) Needs() []deployer.Capability { return nil }

func (s Rolling) waves(all int, ids []string) []wave {
	return cut(ordered(ids, s.Order), s.MaxParallel.Of(all), gate{pause: s.Pause})
}

func (Rolling) shares() []shareStep         { return nil }
func (s Rolling) minHealthy() time.Duration { return s.MinHealthyTime }

// Name implements [Strategy].
func (AllAtOnce) Name() string { return "all_at_once" }

// Needs implements [Strategy].
func (AllAtOnce) Needs() []deployer.Capability { return nil }

func (AllAtOnce) waves(_ int, ids []string) []wave { return cut(ids, len(ids), gate{}) }
func (AllAtOnce) shares() []shareStep              { return nil }
func (s AllAtOnce) minHealthy() time.Duration      { return s.MinHealthyTime }

// Name implements [Strategy].
func (Canary) Name() string { return "canary" }

func (s Canary) byTraffic() bool { return len(s.Steps) > 0 && s.Steps[0].Weight > 0 }

// Needs implements [Strategy].
func (s Canary) Needs() []deployer.Capability {
	if s.byTraffic() {
		return []deployer.Capability{deployer.CanStage, deployer.CanRetire, deployer.CanShift}
	}
	return nil
}

// waves: the steps count all instances; those that run the revision already are
// taken to be the first.
func (s Canary) waves(all int, ids []string) []wave {
	ids = ordered(ids, s.Order)
	if s.byTraffic() {
		return cut(ids, len(ids), gate{})
	}
	var waves []wave
	done := all - len(ids)
	for _, step := range s.Steps {
		more := min(step.Instances.Of(all)-done, len(ids))
		if more <= 0 {
			continue
		}
		widening := cut(ids[:more], s.MaxParallel.Of(all), gate{})
		widening[len(widening)-1].gate = step.gate()
		waves, ids, done = append(waves, widening...), ids[more:], done+more
	}
	return append(waves, cut(ids, s.MaxParallel.Of(all), gate{})...)
}

func (s CanaryStep) gate() gate {
	return gate{pause: s.Pause, analyze: s.Analyses == nil || len(s.Analyses) > 0, names: s.Analyses}
}

func (s Canary) shares() []shareStep {
	if !s.byTraffic() {
		return nil
	}
	steps := make([]shareStep, 0, len(s.Steps))
	for _, step := range s.Steps {
		steps = append(steps, shareStep{thousandths: 10 * step.Weight, gate: step.gate()})
	}
	return steps
}

func (s Canary) minHealthy() time.Duration { return s.MinHealthyTime }

// Name implements [Strategy].
func (BlueGreen) Name() string { return "blue_green" }

// Needs implements [Strategy].
func (BlueGreen) Needs() []deployer.Capability {
	return []deployer.Capability{deployer.CanStage, deployer.CanRetire}
}

func (s BlueGreen) waves(_ int, ids []string) []wave {
	waves := cut(ids, len(ids), gate{})
	for n := range waves {
		waves[n].gate.pause = s.KeepOld
	}
	return waves
}

// shares: all traffic at once.
func (BlueGreen) shares() []shareStep         { return []shareStep{} }
func (s BlueGreen) minHealthy() time.Duration { return s.MinHealthyTime }

// cut makes waves of so many instances, with a gate between each two.
func cut(ids []string, size int, between gate) []wave {
	if size < 1 {
		return nil
	}
	var waves []wave
	for batch := range slices.Chunk(ids, size) {
		if len(waves) > 0 {
			waves[len(waves)-1].gate = between
		}
		waves = append(waves, wave{ids: slices.Clip(batch)})
	}
	return waves
}

// ordered puts the named instances first.
func ordered(ids, first []string) []string {
	ranks := make(map[string]int, len(first))
	for n, id := range first {
		ranks[id] = n
	}
	rank := func(id string) int {
		if n, named := ranks[id]; named {
			return n
		}
		return len(first)
	}
	return slices.SortedStableFunc(slices.Values(ids), func(a, b string) int { return rank(a) - rank(b) })
}
