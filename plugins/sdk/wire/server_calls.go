// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

func (s *server) Describe(ctx context.Context, in *pb.DescribeRequest) (*pb.Description, error) {
	return unary(s, ctx, in, func(*pb.DescribeRequest) struct{} { return struct{}{} },
		func(ctx context.Context, _ struct{}) (deployer.Description, error) { return s.d.Describe(ctx) }, toDescription)
}

func (s *server) Configure(ctx context.Context, in *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	return unary(s, ctx, in, fromConfigureRequest, noAnswer(s.d.Configure), answer[pb.ConfigureResponse])
}

func (s *server) Validate(ctx context.Context, in *pb.ValidateRequest) (*pb.Validation, error) {
	return unary(s, ctx, in, fromValidateRequest, s.d.Validate, toValidation)
}

func (s *server) Inspect(ctx context.Context, in *pb.InspectRequest) (*pb.TargetState, error) {
	return unary(s, ctx, in, fromInspectRequest, s.d.Inspect, toTargetState)
}

func (s *server) Preview(ctx context.Context, in *pb.PreviewRequest) (*pb.PreviewResponse, error) {
	return unary(s, ctx, in, fromPreviewRequest, s.d.Preview, toPreview)
}

func (s *server) Acquire(ctx context.Context, in *pb.AcquireRequest) (*pb.Lock, error) {
	return unary(s, ctx, in, fromAcquireRequest, s.d.Acquire, toLock)
}

func (s *server) Renew(ctx context.Context, in *pb.RenewRequest) (*pb.RenewResponse, error) {
	return unary(s, ctx, in, fromRenewRequest, noAnswer(s.d.Renew), answer[pb.RenewResponse])
}

func (s *server) Release(ctx context.Context, in *pb.ReleaseRequest) (*pb.ReleaseResponse, error) {
	return unary(s, ctx, in, fromReleaseRequest, noAnswer(s.d.Release), answer[pb.ReleaseResponse])
}

func (s *server) Prepare(in *pb.PrepareRequest, out grpc.ServerStreamingServer[pb.Progress]) error {
	return streamed(s, in, out, fromPrepareRequest, s.d.Prepare, progressEvent, progressResult)
}

func (s *server) Stage(in *pb.StageRequest, out grpc.ServerStreamingServer[pb.Progress]) error {
	return streamed(s, in, out, fromStageRequest, s.d.Stage, progressEvent, progressResult)
}

func (s *server) Check(ctx context.Context, in *pb.CheckRequest) (*pb.CheckResult, error) {
	if newer(in.GetProbe().ProtoReflect()) {
		return nil, toStatus(&deployer.Error{
			Code: deployer.CodeUnsupported, Instance: in.GetInstance(), Step: "check",
			Message: "the health check asks for something that this deployer does not know",
			Advice:  "Build the deployer with a newer SDK, or use a simpler health check.",
		})
	}
	return unary(s, ctx, in, fromCheckRequest, s.d.Check, toCheckResult)
}

func (s *server) Activate(in *pb.ActivateRequest, out grpc.ServerStreamingServer[pb.Progress]) error {
	return streamed(s, in, out, fromActivateRequest, s.d.Activate, progressEvent, progressResult)
}

func (s *server) Retire(in *pb.RetireRequest, out grpc.ServerStreamingServer[pb.Progress]) error {
	return streamed(s, in, out, fromRetireRequest, s.d.Retire, progressEvent, progressResult)
}

func (s *server) Remove(in *pb.RemoveRequest, out grpc.ServerStreamingServer[pb.Progress]) error {
	return streamed(s, in, out, fromRemoveRequest, s.d.Remove, progressEvent, progressResult)
}

func (s *server) Shift(ctx context.Context, in *pb.ShiftRequest) (*pb.Result, error) {
	return unary(s, ctx, in, fromShiftRequest, s.d.Shift, toResult)
}

func (s *server) Record(ctx context.Context, in *pb.RecordRequest) (*pb.RecordResponse, error) {
	return unary(s, ctx, in, fromRecordRequest, noAnswer(s.d.Record), answer[pb.RecordResponse])
}

func (s *server) History(ctx context.Context, in *pb.HistoryRequest) (*pb.HistoryResponse, error) {
	return unary(s, ctx, in, fromHistoryRequest, s.d.History, func(entries []deployer.Entry) *pb.HistoryResponse {
		return &pb.HistoryResponse{Entries: each(entries, toEntry)}
	})
}

func (s *server) Prune(ctx context.Context, in *pb.PruneRequest) (*pb.PruneResult, error) {
	return unary(s, ctx, in, fromPruneRequest, s.d.Prune, toPruneResult)
}

func (s *server) Logs(in *pb.LogsRequest, out grpc.ServerStreamingServer[pb.LogLine]) (err error) {
	ctx, done := s.begin(out.Context())
	defer done()
	defer recovered(&err)
	return toStatus(s.d.Logs(ctx, fromLogsRequest(in), func(line string) error {
		return out.Send(&pb.LogLine{Line: toLine(line)})
	}))
}

func (s *server) Run(in *pb.RunRequest, out grpc.ServerStreamingServer[pb.RunProgress]) error {
	return streamed(s, in, out, fromRunRequest, s.d.Run, runEvent, runResult)
}

func (s *server) RunStage(in *pb.RunStageRequest, out grpc.ServerStreamingServer[pb.RunProgress]) error {
	return streamed(s, in, out, fromRunStageRequest, s.d.RunStage, runEvent, runResult)
}

// noAnswer fits calls that answer nothing but an error.
func noAnswer[Req any](call func(context.Context, Req) error) func(context.Context, Req) (struct{}, error) {
	return func(ctx context.Context, req Req) (struct{}, error) { return struct{}{}, call(ctx, req) }
}

func answer[Out any](struct{}) *Out { return new(Out) }

// recovered makes a panic the error of its call, and leaves the stack in the log.
func recovered(err *error) {
	p := recover()
	if p == nil {
		return
	}
	stack := string(debug.Stack())
	fmt.Fprintf(os.Stderr, "panic: %v\n%s", p, stack)
	*err = toStatus(&deployer.Error{
		Code: deployer.CodeFailed, Message: fmt.Sprintf("the deployer panicked: %v", p),
		Advice: "This is a bug of the deployer: report it to its authors.", Log: strings.Split(strings.TrimSpace(stack), "\n"),
	})
}
