// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"errors"
	"reflect"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var needLock = []deployer.Capability{deployer.CanLock}

// lockChecks are about the lock and its fencing tokens.
var lockChecks = []check{
	{"Lock/refusal_names_the_holder", needLock, func(r *rig) {
		r.lock()
		for _, by := range []deployer.Deployer{r.deployer, connect(r.T, r.config)} {
			_, err := r.acquire(by, deployer.Operation{ID: "op-other", Kind: deployer.OperationUpdate, Actor: "other"}, time.Minute)
			r.refused(err, "a second Acquire", deployer.CodeLocked)
			var e *deployer.Error
			if errors.As(err, &e) && (e.Holder == nil || e.Holder.Actor != r.operation.Actor || e.Holder.Operation.ID != r.operation.ID) {
				r.Errorf("the holder is %+v, want %+v", e.Holder, r.operation)
			}
		}
		r.must(r.deployer.Renew(r.ctx(), deployer.RenewRequest{Target: r.target, Token: r.token, Lease: time.Minute}), "Renew")
		r.unlock()
		r.lock()
		r.unlock()
	}},
	{"Lock/released_twice_is_once", needLock, func(r *rig) {
		r.lock()
		r.unlock()
		r.unlock()
		old := r.token
		r.lock()
		err := r.deployer.Release(r.ctx(), deployer.ReleaseRequest{Target: r.target, Token: old})
		r.must(err, "Release of a lock that is lost")
		_, err = r.acquire(r.deployer, r.operation, time.Minute)
		r.refused(err, "Acquire after the release of an older lock", deployer.CodeLocked)
		r.unlock()
	}},
	{"Lock/old_tokens_are_fenced", needLock, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.lock()
		r.prepare(r.revision("r2"))
		old := r.token
		r.unlock()
		r.lock()
		fresh := r.token
		r.token = old
		_, err := r.activateOn(r.first(), "r2")
		r.refused(err, "Activate with an old token", deployer.CodeFenced)
		_, err = r.deployer.Remove(r.ctx(), deployer.RemoveRequest{Mutation: r.mutation(r.first())}, nil)
		r.refused(err, "Remove with an old token", deployer.CodeFenced)
		err = r.deployer.Renew(r.ctx(), deployer.RenewRequest{Target: r.target, Token: old, Lease: time.Minute})
		r.refused(err, "Renew with an old token", deployer.CodeFenced)
		if r.can(deployer.CanPrune) {
			_, err = r.deployer.Prune(r.ctx(), deployer.PruneRequest{Target: r.target, Owner: r.owner, Token: old, Everything: true})
			r.refused(err, "Prune with an old token", deployer.CodeFenced)
		}
		r.serves("r1", "after calls with an old token")
		r.token = fresh
		r.activate("r2")
		r.unlock()
		r.serves("r2", "after Activate with the right token")
	}},
	{"Lock/state_is_what_Inspect_says", needLock, func(r *rig) {
		r.stateMatches("on a fresh target")
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.passes("r1")
		r.stateMatches("after a success")
		r.begin(deployer.OperationUpdate)
		revision := r.revision("r2")
		r.lock()
		r.record(deployer.PhaseBegin, revision.RevisionInfo, "")
		r.prepare(revision)
		r.unlock()
		r.stateMatches("after an update that did not end")
	}},
	{"Lock/deployments_do_not_block_each_other", needLock, func(r *rig) {
		r.lock()
		other := newRig(r.T, r.config, r.description)
		other.target.Deployment = "other"
		other.lock()
		other.unlock()
		r.unlock()
	}},
	{"Lock/a_dead_holder_is_replaced", needLock, func(r *rig) {
		_, err := r.acquire(connect(r.T, r.config), r.operation, time.Second)
		r.must(err, "Acquire with a lease of one second")
		retry := time.NewTicker(250 * time.Millisecond)
		defer retry.Stop()
		for ctx := r.ctx(); ; {
			lock, err := r.acquire(r.deployer, r.operation, time.Minute)
			if err == nil {
				r.token = lock.Token
				r.unlock()
				return
			}
			r.refused(err, "Acquire while a lease lasts", deployer.CodeLocked)
			select {
			case <-retry.C:
			case <-ctx.Done():
				r.Fatal("the lock of a holder that never renewed it lasts for ever")
			}
		}
	}},
}

// stateMatches asserts that what Acquire saw, if it looked, is what Inspect sees
// while the lock is held. Words about health tell the time, and may differ.
func (r *rig) stateMatches(when string) {
	r.Helper()
	opaque := map[string][]byte{}
	for _, i := range r.inspect().Instances {
		opaque[i.ID] = i.Opaque
	}
	lock, err := r.deployer.Acquire(r.ctx(), deployer.AcquireRequest{
		Target: r.target, Operation: r.operation, Owner: r.owner, Lease: time.Minute, Opaque: opaque,
	})
	r.must(err, "Acquire "+when)
	r.token = lock.Token
	seen, err := r.deployer.Inspect(r.ctx(), deployer.InspectRequest{Target: r.target, Opaque: opaque})
	r.must(err, "Inspect "+when)
	r.unlock()
	if lock.State == nil {
		return
	}
	for _, state := range []*deployer.TargetState{lock.State, &seen} {
		for i := range state.Instances {
			for n := range state.Instances[i].Slots {
				state.Instances[i].Slots[n].Detail = ""
			}
			for n := range state.Instances[i].Parts {
				state.Instances[i].Parts[n].Detail = ""
			}
		}
	}
	if !reflect.DeepEqual(*lock.State, seen) {
		r.Errorf("%s Acquire saw\n%+v\nand Inspect sees\n%+v", when, *lock.State, seen)
	}
}
