// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	handParallel = 32 // calls at once, as many as the engine makes
	handLease    = time.Minute
	// handWait is how long a check may wait for health, as the engine's first may.
	handWait    = time.Second
	handTimeout = 5 * time.Second
)

// byHand carries a plan out without the engine, as a script would that knows
// that all goes well: the same calls, as many at once, and nothing in between.
func byHand(ctx context.Context, u *updates, plan rollout.Plan, calls *tally) (generation int64, err error) {
	h := &hand{deployer: u.deployer, plan: plan, calls: calls}
	if err := h.lock(ctx); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.unlock(ctx)) }()
	return h.generation, h.roll(ctx)
}

// hand carries out one plan.
type hand struct {
	deployer   deployer.Deployer
	plan       rollout.Plan
	calls      *tally
	token      string
	from       map[string]string // revision by instance
	generation int64             // that the end gets
}

func (h *hand) roll(ctx context.Context) error {
	artifact, err := h.plan.Artifact(ctx)
	if err != nil {
		return err
	}
	revision := h.plan.Revision
	revision.Artifact = artifact
	if err := h.record(ctx, deployer.Entry{Phase: deployer.PhaseBegin, Generation: h.generation - 1, From: h.from}); err != nil {
		return err
	}
	err = h.each(h.plan.Desired, func(id string) error { return h.prepare(ctx, id, revision) })
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(h.plan.Desired, rollParallel) {
		if err := h.each(batch, func(id string) error { return h.change(ctx, id) }); err != nil {
			return err
		}
	}
	last := (len(h.plan.Desired) - 1) % rollParallel
	earlier := h.plan.Desired[:len(h.plan.Desired)-1-last]
	if err := h.each(earlier, func(id string) error { return h.check(ctx, id) }); err != nil {
		return err
	}
	runs := map[string]string{}
	for _, i := range h.plan.Desired {
		runs[i.ID] = revision.ID
	}
	err = h.record(ctx, deployer.Entry{Phase: deployer.PhaseEnd, Generation: h.generation, Runs: runs, Outcome: deployer.OutcomeSucceeded})
	if err != nil {
		return err
	}
	return h.prune(ctx)
}

// lock takes the lock, and looks if the deployer did not.
func (h *hand) lock(ctx context.Context) error {
	h.calls.add(rollout.StepAcquire)
	lock, err := h.deployer.Acquire(ctx, deployer.AcquireRequest{
		Target: h.plan.Target, Operation: h.plan.Operation, Owner: h.plan.Owner, Lease: handLease,
	})
	if err != nil {
		return err
	}
	h.token = lock.Token
	if lock.State == nil {
		h.calls.add(rollout.StepInspect)
		state, err := h.deployer.Inspect(ctx, deployer.InspectRequest{Target: h.plan.Target})
		if err != nil {
			return errors.Join(err, h.unlock(ctx))
		}
		lock.State = &state
	}
	h.from, h.generation = map[string]string{}, lock.State.Generation+2
	for n := range lock.State.Instances {
		i := &lock.State.Instances[n]
		if slot := i.Serving(); slot != nil {
			h.from[i.ID] = slot.Revision.ID
		}
	}
	return nil
}

func (h *hand) unlock(ctx context.Context) error {
	h.calls.add(rollout.StepRelease)
	return h.deployer.Release(ctx, deployer.ReleaseRequest{Target: h.plan.Target, Token: h.token})
}

func (h *hand) record(ctx context.Context, entry deployer.Entry) error {
	entry.Schema, entry.Operation, entry.Owner = deployer.EntrySchema, h.plan.Operation, h.plan.Owner
	entry.Environment, entry.Deployment = h.plan.Target.Environment, h.plan.Target.Deployment
	entry.Time, entry.To, entry.Strategy = time.Now(), h.plan.Revision.RevisionInfo, h.plan.Strategy.Name()
	h.calls.add(rollout.StepRecord)
	return h.deployer.Record(ctx, deployer.RecordRequest{Target: h.plan.Target, Token: h.token, Entry: entry})
}

func (h *hand) prepare(ctx context.Context, id string, revision deployer.Revision) error {
	h.calls.add(rollout.StepPrepare)
	_, err := h.deployer.Prepare(ctx, deployer.PrepareRequest{Mutation: h.mutation(id), Revision: revision}, unheard)
	return err
}

// change switches one instance and asks how it does.
func (h *hand) change(ctx context.Context, id string) error {
	h.calls.add(rollout.StepActivate)
	_, err := h.deployer.Activate(ctx, deployer.ActivateRequest{Mutation: h.mutation(id), RevisionID: h.plan.Revision.ID}, unheard)
	if err != nil {
		return err
	}
	return h.check(ctx, id)
}

// check asks whether the new revision is healthy, which it is to be at once.
func (h *hand) check(ctx context.Context, id string) error {
	h.calls.add(rollout.StepCheck)
	health, err := h.deployer.Check(ctx, deployer.CheckRequest{
		Target: h.plan.Target, Instance: id, RevisionID: h.plan.Revision.ID, Timeout: handTimeout, Wait: handWait,
	})
	if err == nil && health.Status != deployer.CheckPass {
		err = fmt.Errorf("%s is not healthy at once: %s", id, health.Reason)
	}
	return err
}

// prune removes the revision that served before: with the new one, every
// instance has one more than it keeps.
func (h *hand) prune(ctx context.Context) error {
	h.calls.add(rollout.StepPrune)
	_, err := h.deployer.Prune(ctx, deployer.PruneRequest{Target: h.plan.Target, Owner: h.plan.Owner, Token: h.token, Keep: h.plan.Keep})
	return err
}

func (h *hand) mutation(id string) deployer.Mutation {
	return deployer.Mutation{Target: h.plan.Target, Instance: id, Operation: h.plan.Operation, Owner: h.plan.Owner, Token: h.token}
}

// each does something to some instances, as many at once as allowed.
func (h *hand) each(instances []deployer.DesiredInstance, do func(id string) error) error {
	errs, slots := make([]error, len(instances)), make(chan struct{}, handParallel)
	var group sync.WaitGroup
	for n, i := range instances {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[n] = do(i.ID)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func unheard(deployer.Event) {}
