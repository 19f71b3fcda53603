// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// small is the smallest deployer.
type small struct {
	state     deployer.TargetState
	activated deployer.ActivateRequest
	asked     chan struct{} // a value for every Inspect, if it is not nil
}

func (s *small) Describe(context.Context) (deployer.Description, error) {
	return deployer.Description{Name: "small", Capabilities: []deployer.Capability{deployer.Atomic}}, nil
}

func (s *small) Inspect(context.Context, deployer.InspectRequest) (deployer.TargetState, error) {
	if s.asked != nil {
		s.asked <- struct{}{}
	}
	return s.state, nil
}

func (s *small) Activate(_ context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	events(deployer.Event{})
	s.activated = req
	return deployer.Result{Runs: req.RevisionID}, nil
}

func (s *small) Remove(context.Context, deployer.RemoveRequest, deployer.EventSink) (deployer.Result, error) {
	return deployer.Result{}, nil
}

// larger has two more interfaces.
type larger struct {
	small
	address  string
	prepared int
}

func (l *larger) Prepare(context.Context, deployer.PrepareRequest, deployer.EventSink) (deployer.Result, error) {
	l.prepared++
	return deployer.Result{Runs: "own"}, nil
}

func (l *larger) Validate(context.Context, deployer.ValidateRequest) (deployer.Validation, error) {
	return deployer.Validation{Instances: []deployer.DesiredInstance{{ID: "one", Address: l.address}}}, nil
}

func TestCapabilitiesFollowInterfaces(t *testing.T) {
	t.Parallel()
	d, err := deployer.Complete(&larger{}).Describe(t.Context())
	want := []deployer.Capability{deployer.Atomic, deployer.CanPrepare, deployer.CanValidate}
	if err != nil || !reflect.DeepEqual(d.Capabilities, want) {
		t.Errorf("%v, %v, want %v", d.Capabilities, err, want)
	}
	once := deployer.Complete(&larger{})
	if deployer.Complete(once) != once {
		t.Error("what is complete is completed again")
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	core := &small{state: deployer.TargetState{Instances: []deployer.Instance{{Owner: "o"}}}}
	d := deployer.Complete(core)
	ctx := t.Context()
	v, err := d.Validate(ctx, deployer.ValidateRequest{})
	if err != nil || len(v.Instances) != 1 || v.Instances[0].ID != deployer.DefaultInstance {
		t.Errorf("Validate: %+v, %v", v, err)
	}
	state, err := d.Inspect(ctx, deployer.InspectRequest{})
	i := state.Instances[0]
	if err != nil || i.ID != v.Instances[0].ID || i.Place != v.Instances[0].Place || i.Scope != v.Instances[0].Scope || !i.Desired {
		t.Errorf("Inspect: %+v, %v", i, err)
	}
	m := deployer.Mutation{Target: deployer.Target{Environment: "e", Deployment: "d"}, Instance: "one"}
	if _, err := d.Prepare(ctx, deployer.PrepareRequest{Mutation: m, Revision: deployer.Revision{
		RevisionInfo: deployer.RevisionInfo{ID: "r1"}, Secrets: map[string]string{"a": "b"},
	}}, nil); err != nil {
		t.Error(err)
	}
	for id, known := range map[string]bool{"r1": true, "r2": false} {
		if _, err := d.Activate(ctx, deployer.ActivateRequest{Mutation: m, RevisionID: id}, nil); err != nil {
			t.Error(err)
		}
		if r := core.activated.Revision; (r != nil) != known || known && r.Secrets["a"] != "b" {
			t.Errorf("Activate of %s got %+v", id, r)
		}
	}
	_, lockErr := d.Acquire(ctx, deployer.AcquireRequest{})
	history, historyErr := d.History(ctx, deployer.HistoryRequest{})
	_, pruneErr := d.Prune(ctx, deployer.PruneRequest{})
	_, previewErr := d.Preview(ctx, deployer.PreviewRequest{})
	if err := errors.Join(lockErr, historyErr, pruneErr, previewErr, d.Renew(ctx, deployer.RenewRequest{}),
		d.Release(ctx, deployer.ReleaseRequest{}), d.Record(ctx, deployer.RecordRequest{}),
		d.Configure(ctx, deployer.ConfigureRequest{})); err != nil || history != nil {
		t.Errorf("a default failed: %v", err)
	}
	_, stage := d.Stage(ctx, deployer.StageRequest{}, nil)
	_, retire := d.Retire(ctx, deployer.RetireRequest{}, nil)
	_, shift := d.Shift(ctx, deployer.ShiftRequest{})
	_, run := d.Run(ctx, deployer.RunRequest{}, nil)
	_, runStage := d.RunStage(ctx, deployer.RunStageRequest{}, nil)
	for _, err := range []error{stage, retire, shift, run, runStage, d.Logs(ctx, deployer.LogsRequest{}, nil)} {
		if deployer.CodeOf(err) != deployer.CodeUnsupported || !strings.Contains(err.Error(), "small") {
			t.Errorf("got %v", err)
		}
	}
}

// locking is the smallest deployer with a lock, which looks when it takes it.
type locking struct{ small }

func (l *locking) Acquire(context.Context, deployer.AcquireRequest) (deployer.Lock, error) {
	return deployer.Lock{Token: "1", State: &deployer.TargetState{Instances: []deployer.Instance{{Owner: "o"}}}}, nil
}
func (l *locking) Renew(context.Context, deployer.RenewRequest) error     { return nil }
func (l *locking) Release(context.Context, deployer.ReleaseRequest) error { return nil }

func TestAcquireSeesWhatInspectSees(t *testing.T) {
	t.Parallel()
	d := deployer.Complete(&locking{small{state: deployer.TargetState{Instances: []deployer.Instance{{Owner: "o"}}}}})
	lock, err := d.Acquire(t.Context(), deployer.AcquireRequest{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := d.Inspect(t.Context(), deployer.InspectRequest{})
	if err != nil || !reflect.DeepEqual(*lock.State, state) || state.Instances[0].ID != deployer.DefaultInstance {
		t.Errorf("%+v and %+v, %v", *lock.State, state, err)
	}
}

func TestOwnPrepareIsKept(t *testing.T) {
	t.Parallel()
	core := &larger{}
	d := deployer.Complete(core)
	req := deployer.PrepareRequest{Revision: deployer.Revision{RevisionInfo: deployer.RevisionInfo{ID: "r1"}}}
	if r, err := d.Prepare(t.Context(), req, nil); err != nil || r.Runs != "own" || core.prepared != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := d.Activate(t.Context(), deployer.ActivateRequest{RevisionID: "r1"}, nil); err != nil || core.activated.Revision != nil {
		t.Errorf("Activate got a revision besides: %v", err)
	}
}

func TestCheckByInspect(t *testing.T) {
	t.Parallel()
	for health, want := range map[deployer.Health]deployer.CheckStatus{
		deployer.HealthHealthy: deployer.CheckPass, deployer.HealthUnknown: deployer.CheckWait,
		deployer.HealthFailing: deployer.CheckDead, deployer.HealthStopped: deployer.CheckDead,
	} {
		d := deployer.Complete(&small{state: deployer.TargetState{Instances: []deployer.Instance{{Slots: []deployer.Slot{
			{Role: deployer.RoleRetired, Revision: deployer.RevisionInfo{ID: "r1"}},
			{Role: deployer.RoleServing, Revision: deployer.RevisionInfo{ID: "r2"}, Health: health},
		}}}}})
		got, err := d.Check(t.Context(), deployer.CheckRequest{Instance: deployer.DefaultInstance, RevisionID: "r2"})
		if err != nil || got.Status != want {
			t.Errorf("%s: %+v, %v", health, got, err)
		}
		got, err = d.Check(t.Context(), deployer.CheckRequest{Instance: deployer.DefaultInstance, RevisionID: "r1"})
		if err != nil || got.Status != deployer.CheckFail {
			t.Errorf("retired: %+v, %v", got, err)
		}
	}
}

func TestCheckWaitsAndIsCancelled(t *testing.T) {
	t.Parallel()
	core := &small{asked: make(chan struct{}), state: deployer.TargetState{Instances: []deployer.Instance{{Unreachable: "asleep"}}}}
	d := deployer.Complete(core)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := d.Check(ctx, deployer.CheckRequest{Instance: deployer.DefaultInstance, Wait: time.Hour})
		done <- err
	}()
	<-core.asked
	<-core.asked
	cancel()
	if err := <-done; deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Errorf("got %v", err)
	}
}
