// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"context"
	"slices"
	"sync"
)

// DefaultInstance is the id, scope and place of the one instance of a deployer
// that has no Validate.
const DefaultInstance = "default"

// Complete gives a core every call of a [Deployer]. What the core does not
// implement has these defaults:
//
//   - Configure and Preview do nothing.
//   - Validate finds nothing wrong and answers one instance, [DefaultInstance];
//     what Inspect and Acquire saw then gets the same id, scope and place filled
//     in where the core left them empty.
//   - Acquire, Renew and Release succeed without locking anything; the token
//     is empty.
//   - Prepare keeps the revision in memory, and Activate of the same revision on
//     the same instance finds it in [ActivateRequest.Revision].
//   - Check makes HTTP, TCP and gRPC probes of the instance's configured address,
//     or of 127.0.0.1, from this process; without a probe it judges what Inspect
//     says. A command probe is [CodeUnsupported].
//   - Record and Prune do nothing; History is empty.
//   - Stage, Retire, Shift, Logs, Run and RunStage are [CodeUnsupported].
//
// Describe answers what the core answers, with the capabilities that follow
// from its interfaces added. The client of another process implements every
// interface, so it is not for Complete: it is complete already.
func Complete(core Core) Deployer {
	if done, ok := core.(*completed); ok {
		return done
	}
	return &completed{core: core, prepared: map[string]Revision{}}
}

type completed struct {
	core     Core
	mu       sync.Mutex
	prepared map[string]Revision // the last one of each deployment's instance
}

var _ Deployer = (*completed)(nil)

// Describe adds the capabilities that the core's interfaces stand for.
func (c *completed) Describe(ctx context.Context) (Description, error) {
	d, err := c.core.Describe(ctx)
	if err != nil {
		return Description{}, err
	}
	caps := slices.Clone(d.Capabilities)
	for _, implied := range capabilitiesOf(c.core) {
		if !slices.Contains(caps, implied) {
			caps = append(caps, implied)
		}
	}
	slices.Sort(caps)
	d.Capabilities = caps
	return d, nil
}

// Inspect fills in the default instance for a core without Validate.
func (c *completed) Inspect(ctx context.Context, req InspectRequest) (TargetState, error) {
	state, err := c.core.Inspect(ctx, req)
	if err == nil {
		c.fillIn(state.Instances)
	}
	return state, err
}

func (c *completed) fillIn(instances []Instance) {
	if _, ok := c.core.(Validator); ok {
		return
	}
	for n := range instances {
		i := &instances[n]
		i.Desired = i.Desired || i.ID == "" || i.ID == DefaultInstance
		for _, field := range []*string{&i.ID, &i.Scope, &i.Place} {
			if *field == "" {
				*field = DefaultInstance
			}
		}
	}
}

// Activate hands over what Prepare kept, if the core has no Prepare.
func (c *completed) Activate(ctx context.Context, req ActivateRequest, events EventSink) (Result, error) {
	if _, ok := c.core.(Preparer); !ok {
		c.mu.Lock()
		if r, ok := c.prepared[preparedKey(req.Mutation)]; ok && r.ID == req.RevisionID {
			req.Revision = &r
		}
		c.mu.Unlock()
	}
	return c.core.Activate(ctx, req, sink(events))
}

func (c *completed) Remove(ctx context.Context, req RemoveRequest, events EventSink) (Result, error) {
	return c.core.Remove(ctx, req, sink(events))
}

func (c *completed) Configure(ctx context.Context, req ConfigureRequest) error {
	if x, ok := c.core.(Configurer); ok {
		return x.Configure(ctx, req)
	}
	return nil
}

func (c *completed) Validate(ctx context.Context, req ValidateRequest) (Validation, error) {
	if x, ok := c.core.(Validator); ok {
		return x.Validate(ctx, req)
	}
	return Validation{Instances: []DesiredInstance{{
		ID: DefaultInstance, Scope: DefaultInstance, Place: DefaultInstance,
	}}}, nil
}

func (c *completed) Preview(ctx context.Context, req PreviewRequest) (Preview, error) {
	if x, ok := c.core.(Previewer); ok {
		return x.Preview(ctx, req)
	}
	return Preview{}, nil
}

func (c *completed) Acquire(ctx context.Context, req AcquireRequest) (Lock, error) {
	x, ok := c.core.(Locker)
	if !ok {
		return Lock{}, nil
	}
	lock, err := x.Acquire(ctx, req)
	if err == nil && lock.State != nil {
		c.fillIn(lock.State.Instances)
	}
	return lock, err
}

func (c *completed) Renew(ctx context.Context, req RenewRequest) error {
	if x, ok := c.core.(Locker); ok {
		return x.Renew(ctx, req)
	}
	return nil
}

func (c *completed) Release(ctx context.Context, req ReleaseRequest) error {
	if x, ok := c.core.(Locker); ok {
		return x.Release(ctx, req)
	}
	return nil
}

func (c *completed) Prepare(ctx context.Context, req PrepareRequest, events EventSink) (Result, error) {
	if x, ok := c.core.(Preparer); ok {
		return x.Prepare(ctx, req, sink(events))
	}
	c.mu.Lock()
	c.prepared[preparedKey(req.Mutation)] = req.Revision
	c.mu.Unlock()
	return Result{}, nil
}

func (c *completed) Stage(ctx context.Context, req StageRequest, events EventSink) (Result, error) {
	if x, ok := c.core.(Stager); ok {
		return x.Stage(ctx, req, sink(events))
	}
	return Result{}, c.unsupported(ctx, "stage a revision beside the current one")
}

func (c *completed) Check(ctx context.Context, req CheckRequest) (CheckResult, error) {
	if x, ok := c.core.(Checker); ok {
		return x.Check(ctx, req)
	}
	return c.checkFromHere(ctx, req)
}

func (c *completed) Retire(ctx context.Context, req RetireRequest, events EventSink) (Result, error) {
	if x, ok := c.core.(Retirer); ok {
		return x.Retire(ctx, req, sink(events))
	}
	return Result{}, c.unsupported(ctx, "retire a revision")
}

func (c *completed) Shift(ctx context.Context, req ShiftRequest) (Result, error) {
	if x, ok := c.core.(Shifter); ok {
		return x.Shift(ctx, req)
	}
	return Result{}, c.unsupported(ctx, "shift traffic")
}

func (c *completed) Record(ctx context.Context, req RecordRequest) error {
	if x, ok := c.core.(Recorder); ok {
		return x.Record(ctx, req)
	}
	return nil
}

func (c *completed) History(ctx context.Context, req HistoryRequest) ([]Entry, error) {
	if x, ok := c.core.(Recorder); ok {
		return x.History(ctx, req)
	}
	return nil, nil
}

func (c *completed) Prune(ctx context.Context, req PruneRequest) (PruneResult, error) {
	if x, ok := c.core.(Pruner); ok {
		return x.Prune(ctx, req)
	}
	return PruneResult{}, nil
}

func (c *completed) Logs(ctx context.Context, req LogsRequest, lines func(string) error) error {
	if x, ok := c.core.(LogReader); ok {
		return x.Logs(ctx, req, lines)
	}
	return c.unsupported(ctx, "read logs")
}

func (c *completed) Run(ctx context.Context, req RunRequest, events EventSink) (RunResult, error) {
	if x, ok := c.core.(CommandRunner); ok {
		return x.Run(ctx, req, sink(events))
	}
	return RunResult{}, c.unsupported(ctx, "run a command")
}

func (c *completed) RunStage(ctx context.Context, req RunStageRequest, events EventSink) (RunResult, error) {
	if x, ok := c.core.(StageRunner); ok {
		return x.RunStage(ctx, req, sink(events))
	}
	return RunResult{}, c.unsupported(ctx, "run pipeline stages")
}

func (c *completed) unsupported(ctx context.Context, what string) error {
	name := "this"
	if d, err := c.core.Describe(ctx); err == nil && d.Name != "" {
		name = "the " + d.Name
	}
	return Errorf(CodeUnsupported, "%s deployer cannot %s", name, what)
}

func preparedKey(m Mutation) string {
	return m.Target.Environment + "/" + m.Target.Deployment + "/" + m.Instance
}

func sink(events EventSink) EventSink {
	if events == nil {
		return func(Event) {}
	}
	return events
}

func capabilitiesOf(core Core) []Capability {
	var caps []Capability
	add := func(has bool, c Capability) {
		if has {
			caps = append(caps, c)
		}
	}
	_, validates := core.(Validator)
	_, previews := core.(Previewer)
	_, locks := core.(Locker)
	_, prepares := core.(Preparer)
	_, stages := core.(Stager)
	_, checks := core.(Checker)
	_, retires := core.(Retirer)
	_, shifts := core.(Shifter)
	_, records := core.(Recorder)
	_, prunes := core.(Pruner)
	_, logs := core.(LogReader)
	_, runs := core.(CommandRunner)
	_, runsStages := core.(StageRunner)
	add(validates, CanValidate)
	add(previews, CanPreview)
	add(locks, CanLock)
	add(prepares, CanPrepare)
	add(stages, CanStage)
	add(checks, CanCheck)
	add(retires, CanRetire)
	add(shifts, CanShift)
	add(records, CanRecord)
	add(prunes, CanPrune)
	add(logs, CanLogs)
	add(runs, CanRun)
	add(runsStages, CanRunStage)
	return caps
}
