// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"io"
	"net"
	"time"
)

// Transport reaches machines.
type Transport interface {
	// Connect gives a connection to a machine. The address is as configured,
	// without its default port.
	Connect(ctx context.Context, address string) (Conn, error)
	// Close ends what connections share.
	Close() error
}

// Conn is one connection to one machine. It is safe for concurrent use.
type Conn interface {
	// Start runs a shell command there. What is written to the session is its
	// input, what is read its output; closing it ends its input. An error that
	// is errNoSession says that as many sessions as the machine grants are open.
	Start(ctx context.Context, command string) (Session, error)
	// Dial connects to an address as the machine itself sees it.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Latency is a round trip; 0: not known.
	Latency() time.Duration
	// Done is closed when the connection has ended.
	Done() <-chan struct{}
	Close() error
}

// Session is a command that runs on a machine.
type Session io.ReadWriteCloser
