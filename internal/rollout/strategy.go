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
	MaxParallel    int           // instances switched at once; less than 1: 1
	MinHealthyTime time.Duration // an instance must stay healthy this long
}

var _ Strategy = Rolling{}

func (s Rolling) batches(ids []string) [][]string {
	size := max(s.MaxParallel, 1)
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
