// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"context"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// supervised is the deployer that others see: the same program, whichever of
// its processes runs at the moment.
type supervised struct {
	host *Host
	slot *slot
}

var _ deployer.Deployer = (*supervised)(nil)

// process gives a configured process, starting one if none runs.
func (s *supervised) process(ctx context.Context) (*process, error) {
	x, err := s.host.started(ctx, s.slot)
	if err != nil {
		return nil, err
	}
	if err := x.configure(ctx, s.host); err != nil {
		return nil, x.explain(err, "configure")
	}
	return x, nil
}

// explain adds to the news that a process is gone how that happened.
func (x *process) explain(err error, call string) error {
	if deployer.CodeOf(err) == deployer.CodePluginGone {
		return x.gone(call)
	}
	return err
}

// read makes a call that changes nothing: when the process is gone, or goes
// during the call, a new one is started, once.
func read[T any](s *supervised, ctx context.Context, name string, call func(deployer.Deployer) (T, error)) (T, error) {
	const attempts = 2
	for attempt := 1; ; attempt++ {
		x, err := s.process(ctx)
		if err != nil {
			var zero T
			return zero, err
		}
		out, err := call(x.wire)
		if err == nil || deployer.CodeOf(err) != deployer.CodePluginGone {
			return out, err
		}
		if gone := x.gone(name); attempt == attempts || ctx.Err() != nil {
			return out, gone
		}
		x.logger.Warn("the deployer crashed and is started again", "call", name)
	}
}

// change makes a call that changes something. It is never repeated and never
// starts a process: what the old one knew is lost, and somebody has to look
// first (a call that only reads starts the new one).
func change[T any](s *supervised, ctx context.Context, name string, call func(deployer.Deployer) (T, error)) (T, error) {
	x, err := s.slot.running(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	if err := x.configure(ctx, s.host); err != nil {
		var zero T
		return zero, x.explain(err, "configure")
	}
	out, err := call(x.wire)
	return out, x.explain(err, name)
}

func (s *supervised) Describe(ctx context.Context) (deployer.Description, error) {
	x, err := s.host.started(ctx, s.slot)
	if err != nil {
		return deployer.Description{}, err
	}
	return x.description, nil
}

// Configure does nothing: the host has configured the process.
func (s *supervised) Configure(context.Context, deployer.ConfigureRequest) error { return nil }

func (s *supervised) Validate(ctx context.Context, req deployer.ValidateRequest) (deployer.Validation, error) {
	return read(s, ctx, "validate", func(d deployer.Deployer) (deployer.Validation, error) { return d.Validate(ctx, req) })
}

func (s *supervised) Inspect(ctx context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	return read(s, ctx, "inspect", func(d deployer.Deployer) (deployer.TargetState, error) { return d.Inspect(ctx, req) })
}

func (s *supervised) Preview(ctx context.Context, req deployer.PreviewRequest) (deployer.Preview, error) {
	return read(s, ctx, "preview", func(d deployer.Deployer) (deployer.Preview, error) { return d.Preview(ctx, req) })
}

func (s *supervised) Check(ctx context.Context, req deployer.CheckRequest) (deployer.CheckResult, error) {
	return read(s, ctx, "check", func(d deployer.Deployer) (deployer.CheckResult, error) { return d.Check(ctx, req) })
}

func (s *supervised) History(ctx context.Context, req deployer.HistoryRequest) ([]deployer.Entry, error) {
	return read(s, ctx, "history", func(d deployer.Deployer) ([]deployer.Entry, error) { return d.History(ctx, req) })
}

// Logs is not repeated: lines would come twice.
func (s *supervised) Logs(ctx context.Context, req deployer.LogsRequest, lines func(string) error) error {
	x, err := s.process(ctx)
	if err != nil {
		return err
	}
	return x.explain(x.wire.Logs(ctx, req, lines), "logs")
}

// Acquire begins an operation, so it may start a process; but it is not
// repeated, because it may have locked something before the process went.
func (s *supervised) Acquire(ctx context.Context, req deployer.AcquireRequest) (deployer.Lock, error) {
	x, err := s.process(ctx)
	if err != nil {
		return deployer.Lock{}, err
	}
	lock, err := x.wire.Acquire(ctx, req)
	return lock, x.explain(err, "acquire")
}

func (s *supervised) Renew(ctx context.Context, req deployer.RenewRequest) error {
	_, err := change(s, ctx, "renew", func(d deployer.Deployer) (struct{}, error) { return struct{}{}, d.Renew(ctx, req) })
	return err
}

func (s *supervised) Release(ctx context.Context, req deployer.ReleaseRequest) error {
	_, err := change(s, ctx, "release", func(d deployer.Deployer) (struct{}, error) { return struct{}{}, d.Release(ctx, req) })
	return err
}

func (s *supervised) Prepare(ctx context.Context, req deployer.PrepareRequest, events deployer.EventSink) (deployer.Result, error) {
	return change(s, ctx, "prepare", func(d deployer.Deployer) (deployer.Result, error) { return d.Prepare(ctx, req, events) })
}

func (s *supervised) Stage(ctx context.Context, req deployer.StageRequest, events deployer.EventSink) (deployer.Result, error) {
	return change(s, ctx, "stage", func(d deployer.Deployer) (deployer.Result, error) { return d.Stage(ctx, req, events) })
}

func (s *supervised) Activate(ctx context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	return change(s, ctx, "activate", func(d deployer.Deployer) (deployer.Result, error) { return d.Activate(ctx, req, events) })
}

func (s *supervised) Retire(ctx context.Context, req deployer.RetireRequest, events deployer.EventSink) (deployer.Result, error) {
	return change(s, ctx, "retire", func(d deployer.Deployer) (deployer.Result, error) { return d.Retire(ctx, req, events) })
}

func (s *supervised) Remove(ctx context.Context, req deployer.RemoveRequest, events deployer.EventSink) (deployer.Result, error) {
	return change(s, ctx, "remove", func(d deployer.Deployer) (deployer.Result, error) { return d.Remove(ctx, req, events) })
}

func (s *supervised) Shift(ctx context.Context, req deployer.ShiftRequest) (deployer.Result, error) {
	return change(s, ctx, "shift", func(d deployer.Deployer) (deployer.Result, error) { return d.Shift(ctx, req) })
}

func (s *supervised) Record(ctx context.Context, req deployer.RecordRequest) error {
	_, err := change(s, ctx, "record", func(d deployer.Deployer) (struct{}, error) { return struct{}{}, d.Record(ctx, req) })
	return err
}

func (s *supervised) Prune(ctx context.Context, req deployer.PruneRequest) (deployer.PruneResult, error) {
	return change(s, ctx, "prune", func(d deployer.Deployer) (deployer.PruneResult, error) { return d.Prune(ctx, req) })
}

func (s *supervised) Run(ctx context.Context, req deployer.RunRequest, events deployer.EventSink) (deployer.RunResult, error) {
	return change(s, ctx, "run", func(d deployer.Deployer) (deployer.RunResult, error) { return d.Run(ctx, req, events) })
}

func (s *supervised) RunStage(ctx context.Context, req deployer.RunStageRequest, events deployer.EventSink) (deployer.RunResult, error) {
	return change(s, ctx, "run_stage", func(d deployer.Deployer) (deployer.RunResult, error) { return d.RunStage(ctx, req, events) })
}
