// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// stopTimeout is longer than the longest switch: a service may take a minute
// and a half to stop.
const stopTimeout = 150 * time.Second

// Client is a deployer in another process.
//
// A call that changes something and whose context ends is asked to stop at its
// next safe point, and returns when it has: so what runs afterwards is settled.
// Calls that only read return at once.
type Client struct {
	rpc pb.DeployerClient
	// StopTimeout bounds the wait for a safe point; after it the call is cut
	// off. NewClient sets two and a half minutes.
	StopTimeout time.Duration
}

var _ deployer.Deployer = (*Client)(nil)

// NewClient talks over a connection that somebody else closes.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{rpc: pb.NewDeployerClient(conn), StopTimeout: stopTimeout}
}

// Attend holds the heartbeat. It calls beat for every beat of the plugin and
// returns when the plugin or ctx ends.
func (c *Client) Attend(ctx context.Context, beat func()) error {
	stream, err := c.rpc.Attend(ctx, &pb.AttendRequest{})
	for err == nil {
		if _, err = stream.Recv(); err == nil {
			beat()
		}
	}
	return fromStatus(err, "Attend")
}

// ask makes a call that only reads.
func ask[Req, In, Msg, Resp any](
	ctx context.Context, name string, req Req, to func(Req) In,
	rpc func(context.Context, In, ...grpc.CallOption) (Msg, error), from func(Msg) Resp,
) (resp Resp, err error) {
	msg, err := rpc(ctx, to(req), limits...)
	if err != nil {
		return resp, fromStatus(err, name)
	}
	return from(msg), nil
}

// change makes a call that changes something and has no events.
func change[Req, In, Msg, Resp any](
	c *Client, ctx context.Context, name string, req Req, to func(Req) In,
	rpc func(context.Context, In, ...grpc.CallOption) (Msg, error), from func(Msg) Resp,
) (resp Resp, err error) {
	if ctx.Err() != nil {
		return resp, notBegun(ctx, name)
	}
	ctx, end := c.settled(ctx)
	defer end()
	return ask(ctx, name, req, to, rpc, from)
}

// follow makes a call that changes something and sends events.
func follow[Req, In, Msg, Res, Resp any](
	c *Client, ctx context.Context, name string, req Req, to func(Req) In,
	rpc func(context.Context, In, ...grpc.CallOption) (grpc.ServerStreamingClient[Msg], error),
	events deployer.EventSink, event func(*Msg) *pb.Event, result func(*Msg) *Res, from func(*Res) Resp,
) (resp Resp, err error) {
	if ctx.Err() != nil {
		return resp, notBegun(ctx, name)
	}
	ctx, end := c.settled(ctx)
	defer end()
	stream, err := rpc(ctx, to(req), limits...)
	if err != nil {
		return resp, fromStatus(err, name)
	}
	var last *Res
	for {
		msg, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && last != nil:
			return from(last), nil
		case errors.Is(err, io.EOF):
			return resp, &deployer.Error{Code: deployer.CodeFailed, Step: name, Message: "the deployer ended the call without a result"}
		case err != nil:
			return resp, fromStatus(err, name)
		case last != nil:
			return resp, &deployer.Error{Code: deployer.CodeFailed, Step: name, Message: "the deployer went on after its result"}
		}
		if last = result(msg); last == nil && events != nil {
			events(fromEvent(event(msg)))
		}
	}
}

var limits = []grpc.CallOption{grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)}

func notBegun(ctx context.Context, name string) error {
	return &deployer.Error{
		Code: deployer.CodeInterrupted, Step: name, Message: "cancelled before it began: " + context.Cause(ctx).Error(),
	}
}

// settled detaches a call from ctx. When ctx ends, the call is asked to stop;
// when it does not within StopTimeout, it is cut off.
func (c *Client) settled(ctx context.Context) (context.Context, func()) {
	id := rand.Text()
	call, cutOff := context.WithCancel(metadata.AppendToOutgoingContext(context.WithoutCancel(ctx), callHeader, id))
	stop := context.AfterFunc(ctx, func() {
		defer cutOff()
		limited, done := context.WithTimeout(call, c.StopTimeout)
		defer done()
		if c.cancel(limited, id) {
			<-limited.Done()
		}
	})
	return call, func() {
		stop()
		cutOff()
	}
}

// cancel asks until the plugin has found the call; false: it cannot do that.
func (c *Client) cancel(ctx context.Context, id string) bool {
	const pause = 20 * time.Millisecond
	for ctx.Err() == nil {
		answer, err := c.rpc.Cancel(ctx, &pb.CancelRequest{Call: id})
		if status.Code(err) == codes.Unimplemented {
			return false
		}
		if err == nil && answer.GetFound() {
			return true
		}
		again := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-again.C:
		}
		again.Stop()
	}
	return true
}
