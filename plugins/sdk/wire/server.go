// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// NewServer serves a deployer. A panic in one of its calls becomes the error of
// that call only, so that steps on other instances end as they should.
func NewServer(d deployer.Deployer) pb.DeployerServer {
	return &server{d: d, running: map[string]context.CancelFunc{}}
}

type server struct {
	pb.UnimplementedDeployerServer
	d deployer.Deployer

	mu      sync.Mutex
	running map[string]context.CancelFunc // by the id in callHeader
}

// unary runs one call: in, converted, to the deployer, and its answer back.
func unary[In, Out, Req, Resp any](
	s *server, ctx context.Context, in In, from func(In) Req, call func(context.Context, Req) (Resp, error), to func(Resp) Out,
) (out Out, err error) {
	ctx, done := s.begin(ctx)
	defer done()
	defer recovered(&err)
	resp, err := call(ctx, from(in))
	if err != nil {
		return out, toStatus(err)
	}
	return to(resp), nil
}

// streamed runs one call that sends events before its result.
func streamed[In, Req, Resp, Msg any](
	s *server, in In, stream grpc.ServerStreamingServer[Msg], from func(In) Req,
	call func(context.Context, Req, deployer.EventSink) (Resp, error),
	event func(deployer.Event) *Msg, result func(Resp) *Msg,
) (err error) {
	ctx, done := s.begin(stream.Context())
	defer done()
	defer recovered(&err)
	out := &sender[Msg]{stream: stream}
	resp, err := call(ctx, from(in), func(e deployer.Event) { out.send(event(e)) })
	if err != nil {
		out.close()
		return toStatus(err)
	}
	return out.last(result(resp))
}

// sender lets several goroutines send. A slow host slows the sender down, so
// that events cannot pile up; when the host is gone, they are dropped.
type sender[Msg any] struct {
	mu     sync.Mutex
	stream grpc.ServerStreamingServer[Msg]
	closed bool
}

func (o *sender[Msg]) send(m *Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = o.stream.Send(m) != nil
	}
}

func (o *sender[Msg]) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

func (o *sender[Msg]) last(m *Msg) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.stream.Send(m)
}

// begin makes a call cancellable by its id.
func (s *server) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ids := metadata.ValueFromIncomingContext(ctx, callHeader)
	if len(ids) != 1 || ids[0] == "" {
		return ctx, cancel
	}
	s.mu.Lock()
	s.running[ids[0]] = cancel
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		delete(s.running, ids[0])
		s.mu.Unlock()
		cancel()
	}
}

func (s *server) Cancel(_ context.Context, in *pb.CancelRequest) (*pb.CancelResponse, error) {
	s.mu.Lock()
	cancel, found := s.running[in.GetCall()]
	s.mu.Unlock()
	if found {
		cancel()
	}
	return &pb.CancelResponse{Found: found}, nil
}

func (s *server) Attend(_ *pb.AttendRequest, stream grpc.ServerStreamingServer[pb.Beat]) error {
	tick := time.NewTicker(BeatInterval)
	defer tick.Stop()
	for {
		if err := stream.Send(&pb.Beat{}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

func progressEvent(e deployer.Event) *pb.Progress {
	return &pb.Progress{Progress: &pb.Progress_Event{Event: toEvent(e)}}
}

func progressResult(r deployer.Result) *pb.Progress {
	return &pb.Progress{Progress: &pb.Progress_Result{Result: toResult(r)}}
}

func runEvent(e deployer.Event) *pb.RunProgress {
	return &pb.RunProgress{Progress: &pb.RunProgress_Event{Event: toEvent(e)}}
}

func runResult(r deployer.RunResult) *pb.RunProgress {
	return &pb.RunProgress{Progress: &pb.RunProgress_Result{Result: toRunResult(r)}}
}
