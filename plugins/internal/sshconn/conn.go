// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Conn is one connection to one host.
type Conn struct {
	client *ssh.Client
	raw    net.Conn
	done   chan struct{}
	rtt    atomic.Int64
}

func newConn(client *ssh.Client, raw net.Conn) *Conn {
	c := &Conn{client: client, raw: raw, done: make(chan struct{})}
	go func() {
		_ = client.Wait()
		close(c.done)
	}()
	go c.keepalive()
	return c
}

// keepalive closes a connection whose other end no longer answers.
func (c *Conn) keepalive() {
	tick := time.NewTicker(keepaliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		late := time.AfterFunc(keepaliveAnswer, func() { _ = c.raw.Close() })
		_, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			return
		}
	}
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

func (c *Conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Close ends the connection and all that goes through it.
func (c *Conn) Close() error {
	err := c.client.Close()
	_ = c.raw.Close()
	return err
}

// Latency is the time that opening a channel took: one round trip. 0: not known
// yet.
func (c *Conn) Latency() time.Duration { return time.Duration(c.rtt.Load()) }

const (
	forwardTimeout = 30 * time.Second // to connect to an address as the host sees it
	sessionTimeout = 30 * time.Second // to open a session on a connection that is there
)

// Dial connects to an address as the host sees it. An error of a server that
// forbids forwarding has the code refused; of an address that does not answer,
// failed.
func (c *Conn) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	conn, err := c.client.DialContext(ctx, network, address)
	var open *ssh.OpenChannelError
	if errors.As(err, &open) {
		if open.Reason == ssh.Prohibited {
			return nil, refused("the SSH server forbids forwarding to "+address, "Allow it (AllowTcpForwarding yes), or use a command check.")
		}
		return nil, &deployer.Error{Code: deployer.CodeFailed, Message: "nobody answers there (" + open.Message + ")"}
	}
	return conn, err
}

// ErrNoSession says that the server grants no further session on this
// connection (MaxSessions) for now.
var ErrNoSession = errors.New("the server grants no further session on this connection")

// Session is a command that runs on the host.
type Session struct {
	channel ssh.Channel
	output  *io.PipeReader
	closed  chan struct{}
	done    chan struct{}
	status  int
	once    sync.Once
	pace    *pace // of the input; nil on a long line
}

type opened struct {
	session *Session
	err     error
}

// Start runs a command by the login shell. It does not wait for the server to
// confirm: what is written to the session's input follows at once.
func (c *Conn) Start(ctx context.Context, command string) (*Session, error) {
	late := time.NewTimer(sessionTimeout)
	defer late.Stop()
	answer := make(chan opened, 1)
	go func() {
		session, err := c.open(command)
		answer <- opened{session, err}
	}()
	abandon := func() {
		if got := <-answer; got.err == nil {
			_ = got.session.Close()
		}
	}
	select {
	case got := <-answer:
		return got.session, got.err
	case <-ctx.Done():
		go abandon()
		return nil, interrupted(ctx)
	case <-late.C:
		go abandon()
		return nil, &deployer.Error{Code: deployer.CodeUnreachable, Message: fmt.Sprintf("the server opened no session within %s", sessionTimeout)}
	}
}

func (c *Conn) open(command string) (*Session, error) {
	begun := time.Now()
	stop := make(chan struct{})
	if c.Latency() == 0 {
		go c.nudge(stop)
	}
	channel, requests, err := c.client.OpenChannel("session", nil)
	close(stop)
	var refusal *ssh.OpenChannelError
	if errors.As(err, &refusal) {
		return nil, fmt.Errorf("%w: %s", ErrNoSession, refusal.Message)
	}
	if err != nil {
		return nil, &deployer.Error{Code: deployer.CodeUnreachable, Message: "the connection was lost: " + plainText(err)}
	}
	c.rtt.CompareAndSwap(0, int64(time.Since(begun)))
	output, in := io.Pipe()
	s := &Session{channel: channel, output: output, closed: make(chan struct{}), done: make(chan struct{}), status: -1}
	s.pace = c.newPace(channel)
	go s.follow(requests)
	if _, err := channel.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{command})); err != nil {
		_ = channel.Close()
		return nil, &deployer.Error{Code: deployer.CodeUnreachable, Message: "the connection was lost: " + plainText(err)}
	}
	go func() { _, _ = io.Copy(io.Discard, channel.Stderr()) }()
	go pump(in, channel)
	return s, nil
}

// nudge says something small now and then while the first channel is opened.
// sshd's answer may wait until what it sent after the login is acknowledged,
// which the kernel here delays by 40 ms unless there is something to send.
func (c *Conn) nudge(stop <-chan struct{}) {
	for pause := time.Millisecond; pause < 64*time.Millisecond; pause *= 2 {
		select {
		case <-stop:
			return
		case <-time.After(pause):
		}
		if _, _, err := c.client.SendRequest("nudge@tfdelivery", false, nil); err != nil {
			return
		}
	}
}

// pump hands output on to a pipe, which unlike a channel can be closed on this
// side alone: a server closes a channel only when the command has ended.
func pump(to *io.PipeWriter, from ssh.Channel) {
	_, err := io.Copy(to, from)
	_ = to.CloseWithError(err)
	_, _ = io.Copy(io.Discard, from)
}

// follow reads the messages of a session, of which only the exit status matters.
func (s *Session) follow(requests <-chan *ssh.Request) {
	defer close(s.done)
	for r := range requests {
		if r.Type == "exit-status" {
			var m struct{ Status uint32 }
			if ssh.Unmarshal(r.Payload, &m) == nil {
				s.status = int(m.Status)
			}
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

// Read reads the command's output.
func (s *Session) Read(p []byte) (int, error) { return s.output.Read(p) }

// Write writes to the command's input.
func (s *Session) Write(p []byte) (int, error) {
	if s.pace != nil {
		return s.pace.Write(p)
	}
	return s.channel.Write(p)
}

// Close ends the session on this side, at once: reading ends. What runs on the
// host sees the end of its input.
func (s *Session) Close() error {
	s.once.Do(func() {
		close(s.closed)
		_ = s.output.Close()
		go func() { _ = s.channel.Close() }()
	})
	return nil
}

// Status waits for the end of the command, or of the session, and gives the
// command's exit status; -1 when it has none.
func (s *Session) Status() int {
	select {
	case <-s.done:
		return s.status
	case <-s.closed:
		return -1
	}
}
