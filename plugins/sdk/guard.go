// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"context"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire"
)

const (
	hostCheck     = 250 * time.Millisecond // how often the host is looked for
	hostGrace     = 5 * time.Second        // a lost heartbeat, while the parent is still there
	hostFirstBeat = time.Minute            // a host that has never attended
	lastWords     = 500 * time.Millisecond // for answers, before the connection is closed
)

// guard knows which steps run, and ends the process between them and not in
// their middle.
type guard struct {
	stopping context.Context // ends when running steps have to stop
	stop     context.CancelFunc
	started  time.Time
	parent   int

	mu       sync.Mutex
	server   *grpc.Server
	running  int           // steps that change something
	idle     chan struct{} // closed when none runs any more; nil: nobody waits
	hosts    int           // open heartbeats
	lastBeat time.Time     // when the last heartbeat broke; zero: none yet
	ending   bool
	output   func() // takes standard output back, once
}

func newGuard() *guard {
	g := &guard{started: time.Now(), parent: os.Getppid()}
	g.stopping, g.stop = context.WithCancel(context.Background())
	return g
}

// serving begins to look for the host. output is called before the first call.
func (g *guard) serving(server *grpc.Server, output func()) {
	g.mu.Lock()
	g.server, g.output = server, output
	g.mu.Unlock()
	go func() {
		tick := time.NewTicker(hostCheck)
		defer tick.Stop()
		for range tick.C {
			if why := g.hostGone(time.Now(), parentChanged(g.parent)); why != "" {
				g.end("the host is gone: " + why)
				return
			}
		}
	}()
}

// hostGone says why the host must be gone; "" while it is not.
func (g *guard) hostGone(now time.Time, parentChanged bool) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.hosts > 0:
		return ""
	case parentChanged:
		return "its process ended"
	case !g.lastBeat.IsZero() && now.Sub(g.lastBeat) > hostGrace:
		return "its heartbeat broke"
	case g.lastBeat.IsZero() && now.Sub(g.started) > hostFirstBeat:
		return "it has never called"
	}
	return ""
}

// end stops the running steps where it is safe, then the server.
func (g *guard) end(why string) {
	g.mu.Lock()
	already := g.ending
	g.ending = true
	server := g.server
	g.mu.Unlock()
	if already {
		return
	}
	log.Printf("[INFO] ending: %s", why)
	g.stop()
	g.drain()
	if server == nil {
		return
	}
	// The answers of the last steps are still on their way.
	last := time.AfterFunc(lastWords, server.Stop)
	defer last.Stop()
	server.GracefulStop()
}

// drain waits for the running steps, as long as the budget lasts.
func (g *guard) drain() {
	g.mu.Lock()
	g.ending = true
	if g.running == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	g.stop()
	budget := time.NewTimer(StopBudget)
	defer budget.Stop()
	select {
	case <-idle:
	case <-budget.C:
		log.Printf("[ERROR] a step did not stop within %s and is cut off", StopBudget)
	}
}

// enter admits a call.
func (g *guard) enter(ctx context.Context, method string) (context.Context, func(), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.output != nil {
		g.output()
		g.output = nil
	}
	if wire.Attends(method) {
		g.hosts++
		return ctx, g.heartbeatBroke, nil
	}
	if !wire.Mutates(method) {
		return ctx, func() {}, nil
	}
	if g.ending {
		return nil, nil, status.Error(codes.Unavailable, "the deployer is ending")
	}
	g.running++
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(g.stopping, cancel)
	return ctx, func() {
		unhook()
		cancel()
		g.leave()
	}, nil
}

func (g *guard) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running--; g.running == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

func (g *guard) heartbeatBroke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts--
	g.lastBeat = time.Now()
}

func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, leave, err := g.enter(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	defer leave()
	return handler(ctx, req)
}

func (g *guard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, leave, err := g.enter(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	defer leave()
	return handler(srv, &streamWithContext{ServerStream: stream, ctx: ctx})
}

type streamWithContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *streamWithContext) Context() context.Context { return s.ctx }

// endOrExit ends because of a signal. Before there is a server nothing runs
// that could be harmed.
func (g *guard) endOrExit(why string) {
	g.mu.Lock()
	served := g.server != nil
	g.mu.Unlock()
	if !served {
		os.Exit(1)
	}
	g.end(why)
}
