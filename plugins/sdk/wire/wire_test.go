// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// scripted is a core whose calls are a test's own.
type scripted struct {
	activate func(context.Context, deployer.EventSink) (deployer.Result, error)
	inspect  func(context.Context) (deployer.TargetState, error)
}

func (s *scripted) Describe(context.Context) (deployer.Description, error) {
	return deployer.Description{Name: "scripted"}, nil
}

func (s *scripted) Inspect(ctx context.Context, _ deployer.InspectRequest) (deployer.TargetState, error) {
	return s.inspect(ctx)
}

func (s *scripted) Activate(ctx context.Context, _ deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	return s.activate(ctx, events)
}

func (s *scripted) Remove(context.Context, deployer.RemoveRequest, deployer.EventSink) (deployer.Result, error) {
	return deployer.Result{}, nil
}

func (s *scripted) Logs(_ context.Context, req deployer.LogsRequest, lines func(string) error) error {
	for i := range req.Lines {
		if err := lines(fmt.Sprint("line ", i)); err != nil {
			return err
		}
	}
	return nil
}

// over connects a client to a server through memory.
func over(t *testing.T, server pb.DeployerServer) (*wire.Client, *grpc.Server) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	pb.RegisterDeployerServer(s, server)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return wire.NewClient(conn), s
}

func dial(t *testing.T, core deployer.Core) *wire.Client {
	t.Helper()
	c, _ := over(t, wire.NewServer(deployer.Complete(core)))
	return c
}

func TestEventsComeInOrderBeforeTheResult(t *testing.T) {
	t.Parallel()
	const count = 5000
	c := dial(t, &scripted{activate: func(_ context.Context, events deployer.EventSink) (deployer.Result, error) {
		for i := range count {
			events(deployer.Event{Done: int64(i)})
		}
		return deployer.Result{Runs: "r"}, nil
	}})
	next := int64(0)
	result, err := c.Activate(t.Context(), deployer.ActivateRequest{}, func(e deployer.Event) {
		if e.Done != next {
			t.Errorf("event %d in place of %d", e.Done, next)
		}
		next++
	})
	if err != nil || result.Runs != "r" || next != count {
		t.Errorf("%+v, %v after %d events", result, err, next)
	}
}

func TestConcurrentEventsAndLateOnes(t *testing.T) {
	t.Parallel()
	late := make(chan deployer.EventSink, 1)
	c := dial(t, &scripted{activate: func(_ context.Context, events deployer.EventSink) (deployer.Result, error) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					events(deployer.Event{Line: "x"})
				}
			})
		}
		wg.Wait()
		late <- events
		return deployer.Result{}, nil
	}})
	n := 0
	if _, err := c.Activate(t.Context(), deployer.ActivateRequest{}, func(deployer.Event) { n++ }); err != nil || n != 1600 {
		t.Errorf("%d events, %v", n, err)
	}
	(<-late)(deployer.Event{Line: "too late"})
}

func TestTextIsMadeFit(t *testing.T) {
	t.Parallel()
	log := make([]string, 5000)
	for i := range log {
		log[i] = strings.Repeat("ä", 100) + "\xff"
	}
	log[len(log)-1] = "the last line"
	c := dial(t, &scripted{activate: func(_ context.Context, events deployer.EventSink) (deployer.Result, error) {
		events(deployer.Event{Line: "\xfe" + strings.Repeat("ü", 1<<20)})
		return deployer.Result{}, &deployer.Error{Code: deployer.CodeFailed, Message: strings.Repeat("é", 1<<20), Log: log}
	}})
	_, err := c.Activate(t.Context(), deployer.ActivateRequest{}, func(e deployer.Event) {
		if len(e.Line) > 20_000 || !utf8.ValidString(e.Line) {
			t.Errorf("a line of %d bytes", len(e.Line))
		}
	})
	var e *deployer.Error
	if !errors.As(err, &e) || e.Code != deployer.CodeFailed || !strings.HasPrefix(e.Message, "éé") {
		t.Fatalf("got %v", err)
	}
	if n := len(e.Log); n == 0 || n >= len(log) || e.Log[n-1] != "the last line" {
		t.Errorf("%d lines of log", n)
	}
}

func TestCancelIsSoftForMutations(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}), make(chan struct{})
	c := dial(t, &scripted{activate: func(ctx context.Context, _ deployer.EventSink) (deployer.Result, error) {
		close(begun)
		<-ctx.Done()
		<-goOn // up to the safe point
		return deployer.Result{}, deployer.Errorf(deployer.CodeInterrupted, "stopped before the switch")
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Activate(ctx, deployer.ActivateRequest{}, nil)
		done <- err
	}()
	<-begun
	cancel()
	select {
	case err := <-done:
		t.Fatalf("it did not wait for the safe point: %v", err)
	default:
	}
	close(goOn)
	if err := <-done; err == nil || err.Error() != "stopped before the switch" {
		t.Errorf("got %v", err)
	}
	if _, err := c.Activate(ctx, deployer.ActivateRequest{}, nil); deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Errorf("a cancelled call began: %v", err)
	}
}

func TestCancelIsCutOffInTheEnd(t *testing.T) {
	t.Parallel()
	begun, end := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end) })
	c := dial(t, &scripted{activate: func(context.Context, deployer.EventSink) (deployer.Result, error) {
		close(begun)
		<-end
		return deployer.Result{}, nil
	}})
	c.StopTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	_, err := c.Activate(ctx, deployer.ActivateRequest{}, nil)
	if deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestReadsEndAtOnce(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	c := dial(t, &scripted{inspect: func(ctx context.Context) (deployer.TargetState, error) {
		close(begun)
		<-ctx.Done()
		return deployer.TargetState{}, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := c.Inspect(ctx, deployer.InspectRequest{}); deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestErrorsOfOtherKinds(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	core := &scripted{inspect: func(ctx context.Context) (deployer.TargetState, error) {
		close(begun)
		<-ctx.Done()
		return deployer.TargetState{}, nil
	}}
	c, server := over(t, wire.NewServer(deployer.Complete(core)))
	if _, err := c.Stage(t.Context(), deployer.StageRequest{}, nil); deployer.CodeOf(err) != deployer.CodeUnsupported {
		t.Errorf("Stage: %v", err)
	}
	go func() {
		<-begun
		server.Stop()
	}()
	if _, err := c.Inspect(t.Context(), deployer.InspectRequest{}); deployer.CodeOf(err) != deployer.CodePluginGone {
		t.Errorf("a server that went away: %v", err)
	}
	bare, _ := over(t, pb.UnimplementedDeployerServer{})
	_, err := bare.Activate(t.Context(), deployer.ActivateRequest{}, nil)
	if deployer.CodeOf(err) != deployer.CodeUnsupported || !strings.Contains(err.Error(), "Activate") {
		t.Errorf("a server without the call: %v", err)
	}
}

func TestLogsStopWhenTheReaderDoes(t *testing.T) {
	t.Parallel()
	c := dial(t, &scripted{})
	enough := errors.New("enough")
	n := 0
	err := c.Logs(t.Context(), deployer.LogsRequest{Lines: 100_000}, func(string) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%v after %d lines", err, n)
	}
}

func TestProbesOfALaterVersionAreRefused(t *testing.T) {
	t.Parallel()
	server := wire.NewServer(deployer.Complete(&scripted{inspect: func(context.Context) (deployer.TargetState, error) {
		return deployer.TargetState{}, nil
	}}))
	later := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	whole, http, statuses, tls := &pb.Probe{}, &pb.HTTPProbe{}, &pb.StatusRange{}, &pb.ProbeTLS{}
	for _, c := range []struct {
		probe *pb.Probe
		newer protoreflect.Message
	}{
		{whole, whole.ProtoReflect()},
		{&pb.Probe{Http: http}, http.ProtoReflect()},
		{&pb.Probe{Http: &pb.HTTPProbe{Statuses: []*pb.StatusRange{statuses}}}, statuses.ProtoReflect()},
		{&pb.Probe{Grpc: &pb.GRPCProbe{Tls: tls}}, tls.ProtoReflect()},
	} {
		c.newer.SetUnknown(later)
		if _, err := server.Check(t.Context(), &pb.CheckRequest{Probe: c.probe}); status.Code(err) != codes.Unimplemented {
			t.Errorf("%v: got %v", c.probe, err)
		}
	}
	if _, err := server.Check(t.Context(), &pb.CheckRequest{}); err != nil {
		t.Errorf("without a probe: %v", err)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	c, server := over(t, wire.NewServer(deployer.Complete(&scripted{})))
	beats := make(chan struct{}, 10)
	done := make(chan error)
	go func() { done <- c.Attend(t.Context(), func() { beats <- struct{}{} }) }()
	<-beats
	server.Stop()
	if err := <-done; deployer.CodeOf(err) != deployer.CodePluginGone {
		t.Errorf("got %v", err)
	}
}

// rude answers as no honest server does.
type rude struct {
	pb.UnimplementedDeployerServer
	messages []*pb.Progress
}

func (r *rude) Activate(_ *pb.ActivateRequest, out grpc.ServerStreamingServer[pb.Progress]) error {
	for _, m := range r.messages {
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func TestRudeServers(t *testing.T) {
	t.Parallel()
	result := &pb.Progress{Progress: &pb.Progress_Result{Result: &pb.Result{Runs: "r"}}}
	for name, r := range map[string]*rude{
		"no result": {}, "two results": {messages: []*pb.Progress{result, result}},
		"an empty message": {messages: []*pb.Progress{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := over(t, r)
			if _, err := c.Activate(t.Context(), deployer.ActivateRequest{}, func(deployer.Event) {}); deployer.CodeOf(err) != deployer.CodeFailed {
				t.Errorf("got %v", err)
			}
		})
	}
}
