// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Strategy decides in which batches instances are switched, and by which steps
// each of them is. The strategies are in this package.
type Strategy interface {
	// batches cuts instances, in their order, into batches.
	batches(ids []string) [][]string
	// steps bring one prepared instance to a revision; the first that fails ends
	// the rollout. Reverts use the same path.
	steps() []step
	// minHealthy is how long an instance must have been healthy without a break.
	minHealthy() time.Duration
}

// Rolling switches some instances at a time, and goes on when they are healthy.
type Rolling struct {
	MaxParallel Amount // instances switched at once; zero: 1
	// MaxFailures is how many instances may fail before the rollout is given up.
	// One that fails is put back by itself, and the rollout is an error all the
	// same.
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
// the rest at once or by MaxParallel when every step has held.
type Canary struct {
	Steps          []CanaryStep // at least one
	MaxParallel    Amount       // for what is left after the steps; zero: 1
	MinHealthyTime time.Duration
	Order          []string // as in Rolling
}

// CanaryStep is one widening. Exactly one of Instances and Weight is set, in all
// steps of a Canary the same one, each more than the one before.
type CanaryStep struct {
	Instances Amount // how many run the revision after the step
	// Weight is the share of traffic in percent, 1 to 100, for deployers that can
	// Stage and Shift.
	Weight int
	Pause  time.Duration // after the step, before its analyses
	// Analyses name what must hold after the pause; nil: every analysis, empty:
	// none.
	Analyses []string
}

// BlueGreen stages the revision everywhere beside the one that serves, checks
// it, switches the traffic of each scope with one call, and retires what served
// before when the new one has held for KeepOld. It needs a deployer that can
// Stage.
type BlueGreen struct {
	MinHealthyTime time.Duration // of the staged revision, before the switch
	KeepOld        time.Duration // the old one stays, for an instant return
}

func (s Rolling) batches(ids []string) [][]string {
	size := s.MaxParallel.Of(len(ids))
	var all [][]string
	for len(ids) > 0 {
		n := min(size, len(ids))
		all = append(all, ids[:n:n])
		ids = ids[n:]
	}
	return all
}

func (s Rolling) steps() []step { return []step{activate, verify} }

func (s Rolling) minHealthy() time.Duration { return s.MinHealthyTime }

// A step does one thing to one instance on its way to a revision.
type step func(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error)

// activate makes the revision serve.
func activate(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
	return StepActivate, r.activate(ctx, m, revision)
}

// verify waits until the revision is healthy, and has been for long enough.
func verify(ctx context.Context, r *run, m *member, revision string) (Step, *deployer.Error) {
	return StepCheck, r.awaitHealthy(ctx, m, revision)
}
