// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// rig is one deployment on a fresh target, as the engine would drive it.
type rig struct {
	*testing.T
	config      Config
	description deployer.Description
	deployer    deployer.Deployer
	target      deployer.Target
	owner       string
	instances   []deployer.DesiredInstance

	token      string
	operation  deployer.Operation
	generation int64
	operations int
}

func newRig(t *testing.T, config Config, description deployer.Description) *rig {
	t.Helper()
	r := &rig{
		T: t, config: config, description: description, deployer: connect(t, config), owner: "0wn3r",
		target: deployer.Target{Environment: "conformance", Deployment: "app", Config: config.Target(t)},
	}
	v, err := r.deployer.Validate(r.ctx(), deployer.ValidateRequest{Target: r.target})
	r.must(err, "Validate")
	for _, d := range v.Diagnostics {
		if !d.Warning {
			t.Fatalf("Validate refuses the target: %s: %s %s", strings.Join(d.Path, "."), d.Summary, d.Detail)
		}
	}
	if r.instances = v.Instances; len(v.Instances) == 0 || v.InstancesUnknown {
		t.Fatal("Validate names no instances of a target that is wholly known")
	}
	r.begin(deployer.OperationCreate)
	return r
}

// ctx bounds a call.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.Context(), r.config.Timeout)
	r.Cleanup(cancel)
	return ctx
}

func (r *rig) can(c deployer.Capability) bool { return r.description.Can(c) }

func (r *rig) must(err error, doing string) {
	r.Helper()
	if err != nil {
		e := deployer.AsError(err)
		r.Fatalf("%s: %v (%s)\n%s\n%s", doing, err, e.Code, e.Advice, strings.Join(e.Log, "\n"))
	}
}

// refused asserts that err has one of some codes.
func (r *rig) refused(err error, doing string, codes ...deployer.Code) {
	r.Helper()
	if code := deployer.CodeOf(err); !slices.Contains(codes, code) {
		r.Errorf("%s: the error is %v (code %q), want a code of %v", doing, err, code, codes)
	}
}

// begin names a new operation.
func (r *rig) begin(kind string) {
	r.operations++
	r.operation = deployer.Operation{
		ID: fmt.Sprintf("op-%d", r.operations), Kind: kind, Actor: "conformance",
		Started: time.Now().UTC().Truncate(time.Second),
	}
}

func (r *rig) mutation(instance string) deployer.Mutation {
	return deployer.Mutation{Target: r.target, Instance: instance, Operation: r.operation, Owner: r.owner, Token: r.token}
}

// revision makes a revision with an artifact of its own.
func (r *rig) revision(id string) deployer.Revision {
	artifact := r.config.Artifact(r.T, id)
	revision := deployer.Revision{
		RevisionInfo: deployer.RevisionInfo{
			ID: id, ReleaseID: "conformance:1.0.0-" + id, Version: "1.0.0-" + id, ArtifactDigest: artifact.Digest,
		},
		Environment: r.config.Environment, Artifact: artifact,
	}
	if schema, err := sdk.ParseSchema(r.description.TargetSchema); err == nil {
		revision.Config, _, err = schema.Split(r.target.Config)
		r.must(err, "split the target's configuration")
	}
	return revision
}

func (r *rig) acquire(d deployer.Deployer, o deployer.Operation, lease time.Duration) (deployer.Lock, error) {
	return d.Acquire(r.ctx(), deployer.AcquireRequest{Target: r.target, Operation: o, Owner: r.owner, Lease: lease})
}

// lock takes the deployment's lock, if there is one.
func (r *rig) lock() {
	r.Helper()
	lock, err := r.acquire(r.deployer, r.operation, time.Minute)
	r.must(err, "Acquire")
	if r.can(deployer.CanLock) && lock.Token == "" {
		r.Fatal("Acquire gives no token")
	}
	r.token = lock.Token
}

func (r *rig) unlock() {
	r.Helper()
	r.must(r.deployer.Release(r.ctx(), deployer.ReleaseRequest{Target: r.target, Token: r.token}), "Release")
}

// entry is a line of the ledger for the current operation.
func (r *rig) entry(phase string, to deployer.RevisionInfo, outcome deployer.Outcome) deployer.Entry {
	r.Helper()
	r.generation++
	entry := deployer.Entry{
		Schema: deployer.EntrySchema, Phase: phase, Operation: r.operation, Environment: r.target.Environment,
		Deployment: r.target.Deployment, Owner: r.owner, Generation: r.generation,
		Time: time.Now().UTC().Truncate(time.Second), To: to, Outcome: outcome,
	}
	if phase == deployer.PhaseEnd {
		entry.Runs = map[string]string{}
		for _, i := range r.inspect().Instances {
			if s := i.Serving(); s != nil {
				entry.Runs[i.ID] = s.Revision.ID
			}
		}
		if outcome != deployer.OutcomeSucceeded {
			entry.Reason = "it was made to fail"
		}
	}
	return entry
}

func (r *rig) record(phase string, to deployer.RevisionInfo, outcome deployer.Outcome) {
	r.Helper()
	if r.can(deployer.CanRecord) {
		r.tell(r.entry(phase, to, outcome))
	}
}

// tell appends an entry to the ledger.
func (r *rig) tell(entry deployer.Entry) {
	r.Helper()
	err := r.deployer.Record(r.ctx(), deployer.RecordRequest{Target: r.target, Token: r.token, Entry: entry})
	r.must(err, "Record "+entry.Phase)
}

// onAll calls step for each instance.
func (r *rig) onAll(what string, step func(instance string) error) {
	r.Helper()
	for _, i := range r.instances {
		r.must(step(i.ID), what+" on "+i.ID)
	}
}

func (r *rig) prepareOn(instance string, revision deployer.Revision) error {
	_, err := r.deployer.Prepare(r.ctx(), deployer.PrepareRequest{Mutation: r.mutation(instance), Revision: revision}, nil)
	return err
}

func (r *rig) prepare(revision deployer.Revision) {
	r.Helper()
	r.onAll("Prepare", func(instance string) error { return r.prepareOn(instance, revision) })
}

func (r *rig) activateOn(instance, id string) (deployer.Result, error) {
	return r.deployer.Activate(r.ctx(), deployer.ActivateRequest{Mutation: r.mutation(instance), RevisionID: id}, nil)
}

func (r *rig) activate(id string) {
	r.Helper()
	r.onAll("Activate", func(instance string) error {
		result, err := r.activateOn(instance, id)
		if err == nil && result.Runs != id {
			return fmt.Errorf("its result says that %q runs, and not %q", result.Runs, id)
		}
		return err
	})
}

func (r *rig) stage(id string) {
	r.Helper()
	r.onAll("Stage", func(instance string) error {
		_, err := r.deployer.Stage(r.ctx(), deployer.StageRequest{Mutation: r.mutation(instance), RevisionID: id}, nil)
		return err
	})
}

func (r *rig) remove() {
	r.Helper()
	r.onAll("Remove", func(instance string) error {
		_, err := r.deployer.Remove(r.ctx(), deployer.RemoveRequest{Mutation: r.mutation(instance)}, nil)
		return err
	})
}

// deploy is a whole operation, from lock to release, with an outcome.
func (r *rig) deploy(id string, outcome deployer.Outcome) deployer.Revision {
	r.Helper()
	kind := deployer.OperationUpdate
	if r.generation == 0 {
		kind = deployer.OperationCreate
	}
	r.begin(kind)
	revision := r.revision(id)
	r.lock()
	r.record(deployer.PhaseBegin, revision.RevisionInfo, "")
	r.prepare(revision)
	r.activate(id)
	r.record(deployer.PhaseEnd, revision.RevisionInfo, outcome)
	r.unlock()
	return revision
}

func (r *rig) inspect() deployer.TargetState {
	r.Helper()
	state, err := r.deployer.Inspect(r.ctx(), deployer.InspectRequest{Target: r.target})
	r.must(err, "Inspect")
	return state
}

// serves asserts what Inspect says of every instance; "" is nothing.
func (r *rig) serves(id, when string) {
	r.Helper()
	state := r.inspect()
	for _, want := range r.instances {
		at := slices.IndexFunc(state.Instances, func(i deployer.Instance) bool { return i.ID == want.ID && i.Place == want.Place })
		if at < 0 {
			r.Fatalf("%s: Inspect has no instance %s at %q", when, want.ID, want.Place)
		}
		i := state.Instances[at]
		if i.Unreachable != "" {
			r.Fatalf("%s: %s is unreachable: %s", when, i.ID, i.Unreachable)
		}
		runs := ""
		if s := i.Serving(); s != nil {
			runs = s.Revision.ID
		}
		if runs != id {
			r.Errorf("%s: %s serves %q, want %q", when, i.ID, runs, id)
		}
	}
}

// holds asserts whether every instance keeps a revision.
func (r *rig) holds(id string, want bool, when string) {
	r.Helper()
	for _, i := range r.inspect().Instances {
		if i.Holds(id) != want {
			r.Errorf("%s: %s holds %s: %t, want %t", when, i.ID, id, !want, want)
		}
	}
}

// empty asserts that nothing of the deployment is left.
func (r *rig) empty(when string) {
	r.Helper()
	for _, i := range r.inspect().Instances {
		if i.Owner != "" || len(i.Slots) != 0 {
			r.Errorf("%s something is left: %+v", when, i)
		}
	}
}

// first is the instance for checks that need one.
func (r *rig) first() string { return r.instances[0].ID }
