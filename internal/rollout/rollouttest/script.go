// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollouttest

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Call is one call that a Fleet received.
type Call struct {
	Method   string // such as "Activate"
	Instance string // "" for calls on the whole target
	Revision string
	Token    string
	Phase    string // of a Record
	Command  string // of a Run
	N        int    // how many times this method was called on this instance, from 1
}

func (c Call) String() string {
	text := c.Method
	for _, s := range []string{c.Phase, c.Command, c.Instance, c.Revision} {
		if s != "" {
			text += " " + s
		}
	}
	return text
}

// Fault is how a call goes wrong. The zero value is not at all.
type Fault struct {
	Err   error // what it returns
	After bool  // it takes effect all the same
	// Between leaves a fleet that is not atomic between old and new.
	Between bool
	// Hang waits for the end of the context.
	Hang bool
	// Do is run first, without the fleet's lock.
	Do func()
	// Wait is called next, with the call's context; its error ends the call
	// without effect.
	Wait func(context.Context) error
}

// Calls are all calls so far, in the order in which they began.
func (f *Fleet) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Methods are the calls of a method so far.
func (f *Fleet) Methods(method string) []Call {
	return slices.DeleteFunc(f.Calls(), func(c Call) bool { return c.Method != method })
}

// do makes a call: it is noted, fails as scripted, and has its effect.
func (f *Fleet) do(ctx context.Context, call Call, effect func(Fault) error) error {
	f.mu.Lock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[call.Method+" "+call.Instance]++
	call.N = f.counts[call.Method+" "+call.Instance]
	f.calls = append(f.calls, call)
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return gone()
	}
	var fault Fault
	if f.Script != nil {
		fault = f.Script(call)
	}
	if fault.Do != nil {
		fault.Do()
	}
	if fault.Wait != nil {
		if err := fault.Wait(ctx); err != nil {
			return err
		}
	}
	if fault.Hang {
		<-ctx.Done()
		return deployer.Errorf(deployer.CodeInterrupted, "stopped: %v", context.Cause(ctx))
	}
	if ctx.Err() != nil {
		return deployer.Errorf(deployer.CodeInterrupted, "stopped: %v", context.Cause(ctx))
	}
	if fault.Err != nil && !fault.After && !fault.Between {
		return fault.Err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return gone()
	}
	if err := effect(fault); err != nil {
		return err
	}
	return fault.Err
}

func gone() error {
	return &deployer.Error{Code: deployer.CodePluginGone, Message: "the plugin's process ended"}
}

// Broken is an error of a step with a log, for scripts.
func Broken(instance, message string) *deployer.Error {
	return &deployer.Error{
		Code: deployer.CodeFailed, Instance: instance, Message: message,
		Log: []string{fmt.Sprintf("the log of %s says why", instance)},
	}
}
