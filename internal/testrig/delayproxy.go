// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A DelayProxy is a long or broken line to one address.
type DelayProxy struct {
	Addr string // host:port to connect to

	to       string
	delay    time.Duration
	listener net.Listener
	done     chan struct{}
	group    sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]struct{}
	refuses bool
	stall   chan struct{} // closed while bytes flow
}

// NewDelayProxy listens on a free port of 127.0.0.1 and forwards to addr. A
// byte and its answer take rtt longer than without it; throughput suffers only
// as TCP's and SSH's windows make it.
func NewDelayProxy(t testing.TB, addr string, rtt time.Duration) *DelayProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the delay proxy: %v", err)
	}
	p := &DelayProxy{
		Addr: listener.Addr().String(), to: addr, delay: rtt / 2, listener: listener,
		done: make(chan struct{}), open: map[net.Conn]struct{}{}, stall: make(chan struct{}),
	}
	close(p.stall)
	p.group.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		close(p.done)
		p.Drop()
		p.group.Wait()
	})
	return p
}

// Drop breaks every connection. New ones are taken.
func (p *DelayProxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		conn.Close()
	}
}

// Refuse makes the proxy close new connections at once, or take them again.
func (p *DelayProxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = on
}

// Stall keeps every byte back, or lets them go on: a line that is dead without
// a sign of it.
func (p *DelayProxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stall:
		if on {
			p.stall = make(chan struct{})
		}
	default:
		if !on {
			close(p.stall)
		}
	}
}

func (p *DelayProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.serve(client) })
	}
}

func (p *DelayProxy) serve(client net.Conn) {
	defer p.forget(client)
	if !p.keep(client) {
		return
	}
	// A TCP handshake takes one round trip, of which the client has had none.
	if !p.wait(2 * p.delay) {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.keep(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client) })
	both.Go(func() { p.carry(client, server) })
	both.Wait()
}

func (p *DelayProxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[conn] = struct{}{}
	return !p.refuses
}

func (p *DelayProxy) forget(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
}

// parcel is some bytes and when they arrive.
type parcel struct {
	data []byte
	due  time.Time
}

const (
	parcelSize = 32 << 10
	underway   = 1024 // parcels in one direction
)

// carry brings bytes from one end to the other, each after the delay.
func (p *DelayProxy) carry(to, from net.Conn) {
	line := make(chan parcel, underway)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(line)
		for {
			data := make([]byte, parcelSize)
			n, err := from.Read(data)
			if n > 0 {
				select {
				case line <- parcel{data[:n], time.Now().Add(p.delay)}:
				case <-p.done:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	if !p.deliver(to, line) {
		from.Close() // ends the reader
		for range line {
		}
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	reader.Wait()
}

// deliver writes what arrives until the sender has finished; false when that
// is no longer possible.
func (p *DelayProxy) deliver(to net.Conn, line <-chan parcel) bool {
	for sent := range line {
		if !p.wait(time.Until(sent.due)) || !p.flows() {
			return false
		}
		if _, err := to.Write(sent.data); err != nil {
			return false
		}
	}
	return true
}

// wait lets time pass; false when the proxy ended.
func (p *DelayProxy) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

// flows waits while the line is stalled; false when the proxy ended.
func (p *DelayProxy) flows() bool {
	p.mu.Lock()
	stall := p.stall
	p.mu.Unlock()
	select {
	case <-stall:
		return true
	case <-p.done:
		return false
	}
}
