// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const owner = "owner-1"

// rig is one engine on one fleet, in a bubble of its own time.
type rig struct {
	*testing.T
	fleet  *rollouttest.Fleet
	engine *rollout.Engine
	target deployer.Target

	mu     sync.Mutex
	events []rollout.Event
}

// bubble runs a test with a fleet on a clock that does not wait.
func bubble(t *testing.T, test func(*rig), ids ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if len(ids) == 0 {
			ids = []string{"app-1", "app-2", "app-3"}
		}
		r := &rig{T: t, fleet: &rollouttest.Fleet{}, target: rollouttest.Target(ids...)}
		test(r)
	})
}

func (r *rig) roll(ctx context.Context, plan rollout.Plan) (rollout.Outcome, *rollout.Error) {
	r.Helper()
	r.setUp()
	out, err := r.engine.Roll(ctx, plan)
	return out, r.asError(err)
}

func (r *rig) destroy(ctx context.Context, plan rollout.Plan) (rollout.Outcome, *rollout.Error) {
	r.Helper()
	r.setUp()
	plan.Operation.Kind = deployer.OperationRemove
	out, err := r.engine.Destroy(ctx, plan)
	return out, r.asError(err)
}

func (r *rig) setUp() {
	if r.engine == nil {
		r.engine = &rollout.Engine{Deployer: r.fleet, Description: r.fleet.Description()}
	}
	if r.engine.Observe == nil {
		r.engine.Observe = func(e rollout.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		}
	}
}

func (r *rig) asError(err error) *rollout.Error {
	r.Helper()
	var failed *rollout.Error
	if err != nil && !errors.As(err, &failed) {
		r.Fatalf("the error is a %T: %v", err, err)
	}
	return failed
}

// plan is an ordinary update to a revision, one instance at a time.
func (r *rig) plan(revision string) rollout.Plan {
	return rollout.Plan{
		Operation: deployer.Operation{ID: "op-" + revision, Kind: deployer.OperationUpdate, Actor: "bob@ci", Started: time.Now()},
		Target:    r.target,
		Owner:     owner,
		Revision:  rollouttest.Revision(revision),
		Artifact: func(context.Context) (deployer.Artifact, error) {
			return deployer.Artifact{MediaType: deployer.MediaTypeArchive}, nil
		},
		Desired:  rollouttest.Desired(r.target),
		Strategy: rollout.Rolling{MaxParallel: rollout.Count(1), MinHealthyTime: 10 * time.Second},
		Health: rollout.HealthCheck{
			Probe: deployer.Probe{TCP: &deployer.TCPProbe{Port: 80}}, Interval: time.Second, HealthyDeadline: time.Minute,
		},
		Revert: rollout.Revert{Automatic: true},
		Keep:   5,
	}
}

// create is a first deployment.
func (r *rig) create(revision string) rollout.Plan {
	plan := r.plan(revision)
	plan.Operation.Kind = deployer.OperationCreate
	return plan
}

func (r *rig) runs(want map[string]string) {
	r.Helper()
	if got := r.fleet.Runs(); !maps.Equal(got, want) {
		r.Errorf("runs %v, want %v", got, want)
	}
}

// everywhere is a map of what all instances run.
func (r *rig) everywhere(revision string) map[string]string {
	runs := map[string]string{}
	for _, d := range rollouttest.Desired(r.target) {
		runs[d.ID] = revision
	}
	return runs
}

// methods is the order of calls as text, without checks, renewals and history.
func (r *rig) methods() []string {
	var all []string
	for _, c := range r.fleet.Calls() {
		if c.Method != "Check" && c.Method != "Renew" && c.Method != "History" {
			all = append(all, c.String())
		}
	}
	return all
}

// truthful compares what the outcome says with what is.
func truthful(t *testing.T, fleet *rollouttest.Fleet, out rollout.Outcome) {
	t.Helper()
	truth := fleet.Runs()
	for n := range out.State.Instances {
		i := &out.State.Instances[n]
		if i.Unreachable != "" {
			continue
		}
		says := ""
		if s := i.Serving(); s != nil {
			says = s.Revision.ID
		}
		if says != truth[i.Place] {
			t.Errorf("the outcome says that %s runs %q, in truth it runs %q", i.ID, says, truth[i.Place])
		}
	}
}

func ok(t *testing.T, err *rollout.Error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error:\n%v", err)
	}
}

func wants(t *testing.T, err *rollout.Error, why rollout.Reason, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if err.Reason != why {
		t.Errorf("reason %q, want %q: %v", err.Reason, why, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q:\n%v", part, err)
		}
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// failing makes a revision fail its checks on some instances.
func failing(revision string, instances ...string) func(string, string, int) deployer.CheckResult {
	return func(instance, r string, _ int) deployer.CheckResult {
		if r == revision && slices.Contains(instances, instance) {
			return deployer.CheckResult{Status: deployer.CheckFail, Reason: "GET /healthz: 500", Log: []string{"Traceback", "KeyError: DB_URL"}}
		}
		return deployer.CheckResult{Status: deployer.CheckPass}
	}
}

// on scripts one fault for calls that match.
func on(method, instance, revision string, fault rollouttest.Fault) func(rollouttest.Call) rollouttest.Fault {
	return func(c rollouttest.Call) rollouttest.Fault {
		if c.Method == method && (instance == "" || c.Instance == instance) && (revision == "" || c.Revision == revision) {
			return fault
		}
		return rollouttest.Fault{}
	}
}

// takes makes a call last.
func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error { return rollout.SystemClock{}.Sleep(ctx, d) }
}
