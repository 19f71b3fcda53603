// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// errLockLost is the cause that ends a run whose lock is gone.
var errLockLost = errors.New("the lock was lost")

// lock is the target's lock in the hands of one run. Without a deployer that
// locks, it is always held, with no token.
type lock struct {
	run *run

	mu       sync.Mutex
	real     bool // the deployer locks, and did
	token    string
	lost     *deployer.Error
	renewed  time.Time // when the last successful acquire or renewal was begun
	stop     func()    // ends the renewals
	stopping chan struct{}
	onLost   context.CancelCauseFunc
	seen     *deployer.TargetState // by the deployer, right after it took the lock
}

// held gives the token, or the reason why nothing may be changed any more.
func (l *lock) held() (string, *deployer.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token, l.lost
}

// lose notes that the lock of this token is gone, and stops the run.
func (l *lock) lose(token string, why *deployer.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil || token != l.token {
		return
	}
	l.lost = deployer.Errorf(deployer.CodeFenced, "the lock was lost (%s), so nothing more was changed", why.Message)
	if l.onLost != nil {
		l.onLost(errLockLost)
	}
}

// acquire takes the lock, waiting for another holder as long as the plan
// allows. When the lock is lost later, onLost is called.
func (l *lock) acquire(ctx context.Context, wait time.Duration, onLost context.CancelCauseFunc) *deployer.Error {
	r := l.run
	l.onLost = onLost
	if !r.can(deployer.CanLock) {
		r.warn("This deployer has no lock: two applies at once could disturb each other.")
		return nil
	}
	started := r.clock.Now()
	for {
		if ctx.Err() != nil {
			return interrupted(ctx)
		}
		var got deployer.Lock
		begun := r.clock.Now()
		err := r.call(StepAcquire, "", func() (err error) {
			safe, done := r.toSafePoint(ctx, acquireGrace)
			defer done()
			got, err = r.engine.Deployer.Acquire(safe, deployer.AcquireRequest{
				Target: r.plan.Target, Previous: r.plan.Previous, Operation: r.plan.Operation,
				Owner: r.plan.Owner, Lease: r.plan.Lease, Opaque: r.opaque(),
			})
			return err
		})
		switch {
		case err == nil:
			l.seen = got.State
			l.take(ctx, got.Token, begun)
			return nil
		case err.Code == deployer.CodeUnsupported:
			r.warn("This target cannot be locked (" + err.Message + "): two applies at once could disturb each other.")
			return nil
		case err.Code != deployer.CodeLocked:
			return err
		}
		left := wait - r.clock.Now().Sub(started)
		if left <= 0 {
			return err
		}
		r.note(StepAcquire, "waiting for the lock: "+holder(err))
		if r.clock.Sleep(ctx, min(left, lockRetry)) != nil {
			return err
		}
	}
}

func (l *lock) take(ctx context.Context, token string, begun time.Time) {
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	l.mu.Lock()
	l.real, l.token, l.lost, l.renewed = true, token, nil, begun
	l.stop, l.stopping = stop, ended
	l.mu.Unlock()
	go func() {
		defer close(ended)
		l.keep(renewing, token)
	}()
}

// keep renews the lease until ctx is over or the lock is lost.
func (l *lock) keep(ctx context.Context, token string) {
	r := l.run
	lease := r.plan.Lease
	pause := lease / 3
	for background(ctx, r.clock, pause) == nil {
		begun := r.clock.Now()
		left := lease - begun.Sub(l.renewed)
		if left <= 0 {
			l.lose(token, deployer.Errorf(deployer.CodeFenced, "its lease of %s ran out before it could be renewed", lease))
			return
		}
		err := l.renew(ctx, token, left)
		switch {
		case err == nil:
			l.renewed = begun
			pause = lease / 3
			continue
		case ctx.Err() != nil:
			return
		case err.Code == deployer.CodeFenced:
			l.lose(token, err)
			return
		}
		pause = min(lease/10, max(lease-r.clock.Now().Sub(l.renewed), 0))
	}
}

// renew extends the lease. An error that names an instance is about that one
// alone: the others have the lock, and where it ran out the target fences.
func (l *lock) renew(ctx context.Context, token string, budget time.Duration) *deployer.Error {
	r := l.run
	bounded, cancel := withTimeout(ctx, r.clock, budget)
	defer cancel()
	err := r.call(StepRenew, "", func() error {
		return r.engine.Deployer.Renew(bounded, deployer.RenewRequest{
			Target: r.plan.Target, Previous: r.plan.Previous, Token: token, Lease: r.plan.Lease,
		})
	})
	if err != nil && err.Code == deployer.CodeUnreachable && err.Instance != "" {
		r.note(StepRenew, "the lock could not be extended on "+err.Error())
		return nil
	}
	return err
}

// stands makes sure, after a call was fenced, whether the lock is lost: on an
// instance that was cut off it only ran out, and can be extended again.
func (l *lock) stands(ctx context.Context, token string) bool {
	l.mu.Lock()
	real := l.real && l.lost == nil && l.token == token
	l.mu.Unlock()
	return real && l.renew(context.WithoutCancel(ctx), token, l.run.plan.Lease) == nil
}

// rest ends the renewals and waits for a renewal under way.
func (l *lock) rest() {
	if l.stop != nil {
		l.stop()
		<-l.stopping
		l.stop = nil
	}
}

// regain makes sure of the lock after the plugin died: its new process may not
// have it. Whoever else had it meanwhile shows in the generation.
func (l *lock) regain(ctx context.Context) {
	l.mu.Lock()
	real, token := l.real, l.token
	l.mu.Unlock()
	if !real {
		return
	}
	l.rest()
	begun := l.run.clock.Now()
	err := l.renew(ctx, token, l.run.plan.Lease)
	switch {
	case err == nil:
		l.take(ctx, token, begun)
	case err.Code != deployer.CodeFenced:
		l.take(ctx, token, l.renewed) // not known to be lost: the calls will tell
	default:
		if err = l.acquire(ctx, acquireGrace, nil); err != nil {
			l.lose(token, err)
		}
	}
}

// release gives the lock back. A lost one is left alone.
func (l *lock) release(ctx context.Context) {
	l.rest()
	r := l.run
	token, lost := l.held()
	if !l.real || lost != nil {
		return
	}
	own, cancel := r.own(ctx, settleBudget)
	defer cancel()
	err := r.call(StepRelease, "", func() error {
		return r.engine.Deployer.Release(own, deployer.ReleaseRequest{
			Target: r.plan.Target, Previous: r.plan.Previous, Token: token,
		})
	})
	if err != nil {
		r.warn(fmt.Sprintf("The lock could not be given back (%s); it ends by itself within %s.", err, r.plan.Lease))
	}
}

// holder tells who holds a lock, since when, and what for.
func holder(err *deployer.Error) string {
	h := err.Holder
	if h == nil {
		return err.Message
	}
	who := h.Actor
	if who == "" {
		who = h.Operation.Actor
	}
	if who == "" {
		who = "somebody"
	}
	text := who + " holds it"
	if !h.Since.IsZero() {
		text += " since " + h.Since.UTC().Format(time.RFC3339)
	}
	if h.Operation.Kind != "" {
		text += " for " + operation(h.Operation)
	}
	return text
}

// operation names an operation for people.
func operation(op deployer.Operation) string {
	kind := map[string]string{
		deployer.OperationCreate: "a first deployment", deployer.OperationUpdate: "an update",
		deployer.OperationRepair: "a repair", deployer.OperationAdopt: "an adoption",
		deployer.OperationRemove: "a removal",
	}[op.Kind]
	if kind == "" {
		kind = "an operation"
	}
	if op.ID != "" {
		kind += " (" + op.ID + ")"
	}
	return kind
}
