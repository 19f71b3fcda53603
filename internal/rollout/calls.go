// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// call makes one call of the deployer between two events.
func (r *run) call(step Step, instance string, f func() error) *deployer.Error {
	r.emit(Event{Kind: EventCall, Phase: PhaseBefore, Step: step, Instance: instance})
	err := f()
	r.emit(Event{Kind: EventCall, Phase: PhaseAfter, Step: step, Instance: instance, Err: err})
	failure := toError(err)
	if failure != nil && failure.Code == deployer.CodePluginGone {
		r.pluginDied.Store(true)
	}
	return failure
}

// change makes a call that changes the target: only while the lock is held, not
// after a cancellation, and not too many at once.
func (r *run) change(ctx context.Context, step Step, instance string, f func(token string) error) *deployer.Error {
	select {
	case <-ctx.Done():
		return interrupted(ctx)
	case r.changes <- struct{}{}:
		defer func() { <-r.changes }()
	}
	token, lost := r.lock.held()
	if lost != nil {
		return lost
	}
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	once := func() *deployer.Error {
		return r.call(step, instance, func() error { return f(token) })
	}
	err := once()
	if err != nil && err.Code == deployer.CodeFenced && r.lock.stands(ctx, token) {
		if ctx.Err() != nil {
			return interrupted(ctx)
		}
		err = once()
	}
	if err != nil && err.Code == deployer.CodeFenced {
		r.lock.lose(token, err)
	}
	return err
}

// toSafePoint gives a context for a call that must not be cut off in the middle:
// after a cancellation it may go on for some time.
func (r *run) toSafePoint(ctx context.Context, grace time.Duration) (context.Context, func()) {
	safe, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		last, stop := withTimeout(safe, r.clock, grace)
		defer stop()
		select {
		case <-done:
		case <-last.Done():
			cancel(context.Cause(ctx))
		}
	}()
	return safe, func() {
		close(done)
		cancel(nil)
	}
}

func (r *run) mutation(target deployer.Target, instance, token string, opaque []byte) deployer.Mutation {
	return deployer.Mutation{
		Target: target, Instance: instance, Operation: r.plan.Operation,
		Owner: r.plan.Owner, Token: token, Opaque: opaque,
	}
}

func (r *run) sink(step Step, instance string) deployer.EventSink {
	return func(progress deployer.Event) {
		r.emit(Event{Kind: EventProgress, Step: step, Instance: instance, Progress: progress})
	}
}

func (r *run) prepare(ctx context.Context, m *member, revision deployer.Revision) *deployer.Error {
	return r.change(ctx, StepPrepare, m.ID, func(token string) error {
		res, err := r.engine.Deployer.Prepare(ctx, deployer.PrepareRequest{
			Mutation: r.mutation(r.plan.Target, m.ID, token, m.opaque), Revision: revision,
		}, r.sink(StepPrepare, m.ID))
		m.keep(res)
		return err
	})
}

func (r *run) activate(ctx context.Context, m *member, revision string) *deployer.Error {
	return r.change(ctx, StepActivate, m.ID, func(token string) error {
		r.switching(m)
		m.healthy = false
		safe, done := r.toSafePoint(ctx, safePointGrace)
		defer done()
		res, err := r.engine.Deployer.Activate(safe, deployer.ActivateRequest{
			Mutation: r.mutation(r.plan.Target, m.ID, token, m.opaque), RevisionID: revision,
		}, r.sink(StepActivate, m.ID))
		m.keep(res)
		if err == nil {
			m.now = revision
		}
		if err == nil && res.Runs != "" && res.Runs != revision {
			return deployer.Errorf(deployer.CodeFailed, "the deployer says that it succeeded, but runs %s", r.name(res.Runs))
		}
		return err
	})
}

// switching notes, before the call, that the instance may be switched.
func (r *run) switching(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !m.switched {
		m.switched = true
		r.out.Switched = append(r.out.Switched, m.ID)
	}
}

func (m *member) keep(res deployer.Result) {
	if res.Opaque != nil {
		m.opaque = res.Opaque
	}
}

func (r *run) remove(ctx context.Context, target deployer.Target, instance string, opaque []byte) *deployer.Error {
	return r.change(ctx, StepRemove, instance, func(token string) error {
		safe, done := r.toSafePoint(ctx, safePointGrace)
		defer done()
		_, err := r.engine.Deployer.Remove(safe, deployer.RemoveRequest{
			Mutation: r.mutation(target, instance, token, opaque),
		}, r.sink(StepRemove, instance))
		return err
	})
}

// inspect asks what runs and remembers it. It asks again when that may help: a
// plugin that has just died is started anew by its host.
func (r *run) inspect(ctx context.Context) *deployer.Error {
	opaque := r.opaque()
	var state deployer.TargetState
	var failed *deployer.Error
	for try := range inspectTries {
		failed = r.call(StepInspect, "", func() (err error) {
			state, err = r.engine.Deployer.Inspect(ctx, deployer.InspectRequest{
				Target: r.plan.Target, Previous: r.plan.Previous, Opaque: opaque,
			})
			return err
		})
		if failed == nil || !passes(failed.Code) || try == inspectTries-1 || r.clock.Sleep(ctx, lockRetry) != nil {
			break
		}
	}
	r.out.Inspected = failed == nil
	if failed != nil {
		return failed
	}
	r.saw(state)
	return nil
}

// saw takes in what was observed.
func (r *run) saw(state deployer.TargetState) {
	state.Instances = slices.Clone(state.Instances)
	r.out.State, r.out.Inspected = state, true
	r.learn(state)
}

// opaque is what the deployer wants to see again.
func (r *run) opaque() map[string][]byte {
	opaque := maps.Clone(r.plan.Opaque)
	if opaque == nil {
		opaque = map[string][]byte{}
	}
	for _, m := range r.members {
		if m.opaque != nil {
			opaque[m.ID] = m.opaque
		}
	}
	return opaque
}

// passes says whether an error of a look may pass by itself.
func passes(code deployer.Code) bool {
	return code == deployer.CodePluginGone || code == deployer.CodeFailed || code == deployer.CodeUnreachable
}

// interrupted is the error of what was not done because ctx is over.
func interrupted(ctx context.Context) *deployer.Error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return deployer.Errorf(deployer.CodeInterrupted, "the time for it was over")
	}
	return deployer.Errorf(deployer.CodeInterrupted, "stopped")
}

// toError is deployer.AsError, with the end of a context told apart.
func toError(err error) *deployer.Error {
	var e *deployer.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		if e == nil {
			return nil
		}
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return deployer.Errorf(deployer.CodeInterrupted, "%v", err)
	}
	return deployer.AsError(err)
}
