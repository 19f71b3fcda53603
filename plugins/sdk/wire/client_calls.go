// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"context"
	"errors"
	"io"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

func (c *Client) Describe(ctx context.Context) (deployer.Description, error) {
	return ask(ctx, "Describe", struct{}{}, func(struct{}) *pb.DescribeRequest { return &pb.DescribeRequest{} },
		c.rpc.Describe, fromDescription)
}

func (c *Client) Configure(ctx context.Context, req deployer.ConfigureRequest) error {
	_, err := ask(ctx, "Configure", req, toConfigureRequest, c.rpc.Configure, nothing[*pb.ConfigureResponse])
	return err
}

func (c *Client) Validate(ctx context.Context, req deployer.ValidateRequest) (deployer.Validation, error) {
	return ask(ctx, "Validate", req, toValidateRequest, c.rpc.Validate, fromValidation)
}

func (c *Client) Inspect(ctx context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	return ask(ctx, "Inspect", req, toInspectRequest, c.rpc.Inspect, fromTargetState)
}

func (c *Client) Preview(ctx context.Context, req deployer.PreviewRequest) (deployer.Preview, error) {
	return ask(ctx, "Preview", req, toPreviewRequest, c.rpc.Preview, fromPreview)
}

func (c *Client) Acquire(ctx context.Context, req deployer.AcquireRequest) (deployer.Lock, error) {
	return change(c, ctx, "Acquire", req, toAcquireRequest, c.rpc.Acquire, fromLock)
}

func (c *Client) Renew(ctx context.Context, req deployer.RenewRequest) error {
	_, err := change(c, ctx, "Renew", req, toRenewRequest, c.rpc.Renew, nothing[*pb.RenewResponse])
	return err
}

func (c *Client) Release(ctx context.Context, req deployer.ReleaseRequest) error {
	_, err := change(c, ctx, "Release", req, toReleaseRequest, c.rpc.Release, nothing[*pb.ReleaseResponse])
	return err
}

func (c *Client) Prepare(ctx context.Context, req deployer.PrepareRequest, events deployer.EventSink) (deployer.Result, error) {
	return follow(c, ctx, "Prepare", req, toPrepareRequest, c.rpc.Prepare, events,
		(*pb.Progress).GetEvent, (*pb.Progress).GetResult, fromResult)
}

func (c *Client) Stage(ctx context.Context, req deployer.StageRequest, events deployer.EventSink) (deployer.Result, error) {
	return follow(c, ctx, "Stage", req, toStageRequest, c.rpc.Stage, events,
		(*pb.Progress).GetEvent, (*pb.Progress).GetResult, fromResult)
}

func (c *Client) Check(ctx context.Context, req deployer.CheckRequest) (deployer.CheckResult, error) {
	return ask(ctx, "Check", req, toCheckRequest, c.rpc.Check, fromCheckResult)
}

func (c *Client) Activate(ctx context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	return follow(c, ctx, "Activate", req, toActivateRequest, c.rpc.Activate, events,
		(*pb.Progress).GetEvent, (*pb.Progress).GetResult, fromResult)
}

func (c *Client) Retire(ctx context.Context, req deployer.RetireRequest, events deployer.EventSink) (deployer.Result, error) {
	return follow(c, ctx, "Retire", req, toRetireRequest, c.rpc.Retire, events,
		(*pb.Progress).GetEvent, (*pb.Progress).GetResult, fromResult)
}

func (c *Client) Remove(ctx context.Context, req deployer.RemoveRequest, events deployer.EventSink) (deployer.Result, error) {
	return follow(c, ctx, "Remove", req, toRemoveRequest, c.rpc.Remove, events,
		(*pb.Progress).GetEvent, (*pb.Progress).GetResult, fromResult)
}

func (c *Client) Shift(ctx context.Context, req deployer.ShiftRequest) (deployer.Result, error) {
	return change(c, ctx, "Shift", req, toShiftRequest, c.rpc.Shift, fromResult)
}

func (c *Client) Record(ctx context.Context, req deployer.RecordRequest) error {
	_, err := change(c, ctx, "Record", req, toRecordRequest, c.rpc.Record, nothing[*pb.RecordResponse])
	return err
}

func (c *Client) History(ctx context.Context, req deployer.HistoryRequest) ([]deployer.Entry, error) {
	return ask(ctx, "History", req, toHistoryRequest, c.rpc.History, func(r *pb.HistoryResponse) []deployer.Entry {
		return each(r.GetEntries(), fromEntry)
	})
}

func (c *Client) Prune(ctx context.Context, req deployer.PruneRequest) (deployer.PruneResult, error) {
	return change(c, ctx, "Prune", req, toPruneRequest, c.rpc.Prune, fromPruneResult)
}

// Logs hands every line to lines and ends when that returns an error.
func (c *Client) Logs(ctx context.Context, req deployer.LogsRequest, lines func(string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Logs(ctx, toLogsRequest(req), limits...)
	if err != nil {
		return fromStatus(err, "Logs")
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fromStatus(err, "Logs")
		}
		if err := lines(msg.GetLine()); err != nil {
			return err
		}
	}
}

func (c *Client) Run(ctx context.Context, req deployer.RunRequest, events deployer.EventSink) (deployer.RunResult, error) {
	return follow(c, ctx, "Run", req, toRunRequest, c.rpc.Run, events,
		(*pb.RunProgress).GetEvent, (*pb.RunProgress).GetResult, fromRunResult)
}

func (c *Client) RunStage(ctx context.Context, req deployer.RunStageRequest, events deployer.EventSink) (deployer.RunResult, error) {
	return follow(c, ctx, "RunStage", req, toRunStageRequest, c.rpc.RunStage, events,
		(*pb.RunProgress).GetEvent, (*pb.RunProgress).GetResult, fromRunResult)
}

func nothing[Msg any](Msg) struct{} { return struct{}{} }
