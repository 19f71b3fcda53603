// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	maxAgents    = 6 // at once on one connection; sshd allows ten sessions by default
	sessionTries = 6 // when the server grants not even one
	// askSilence is more than any question needs.
	askSilence = time.Minute
	endTimeout = 10 * time.Second
)

// machine is one machine with its one connection, which is made when it is
// needed and made again when it was lost, and the agents on it.
type machine struct {
	address   string
	transport Transport

	dialling chan struct{} // holds the right to connect

	mu     sync.Mutex
	conn   Conn
	closed bool
	open   int // agents, on conn
	most   int // agents that the server grants, as far as known
	free   chan *pooled
	seen   map[string]bool // releases that were seen there, by their paths
}

// pooled is an agent with the connection that it belongs to.
type pooled struct {
	*agent
	conn Conn
}

func newMachine(transport Transport, address string) *machine {
	return &machine{
		address: address, transport: transport, dialling: make(chan struct{}, 1),
		most: maxAgents, free: make(chan *pooled, maxAgents), seen: map[string]bool{},
	}
}

// ask makes a call that changes nothing. When the connection is lost, it is
// made once more on a new one. An agent that does not answer in time is ended.
func (m *machine) ask(ctx context.Context, c call) (answer, error) {
	c.silence, c.public = cmp.Or(c.silence, askSilence), true
	ans, err := m.tryAsk(ctx, c)
	if errors.Is(err, errLost) && ctx.Err() == nil {
		return m.tryAsk(ctx, c)
	}
	return ans, err
}

func (m *machine) tryAsk(ctx context.Context, c call) (answer, error) {
	a, err := m.take(ctx, c.first())
	if err != nil {
		return answer{}, err
	}
	ans, err := a.do(ctx, c)
	m.give(a)
	if err != nil && a.process != "" {
		go m.end(a.process)
	}
	return ans, err
}

// end ends an agent, which may hang where no closed connection reaches it, with
// all that it has started. One that has ended by itself is not mistaken for
// another process.
func (m *machine) end(process string) {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	pid, born, _ := strings.Cut(process, " ")
	if line, err := callLine("end_group", pid, "KILL", born); err == nil {
		_, _ = m.tell(ctx, call{line: line})
	}
}

// tell makes a call. After an error that is errLost nothing is known of it.
func (m *machine) tell(ctx context.Context, c call) (answer, error) {
	a, err := m.take(ctx, c.first())
	if err != nil {
		return answer{}, err
	}
	ans, err := a.do(ctx, c)
	m.give(a)
	return ans, err
}

// warm makes the connection and starts the first agent.
func (m *machine) warm(ctx context.Context) error {
	a, err := m.take(ctx, "")
	if err == nil {
		m.give(a)
	}
	return err
}

// take gives an agent that nobody uses. A new one begins with the call first,
// if that is not "".
func (m *machine) take(ctx context.Context, first string) (*pooled, error) {
	refusals := 0
	for {
		conn, err := m.connected(ctx)
		if err != nil {
			return nil, err
		}
		select {
		case a := <-m.free:
			if a.conn == conn {
				return a, nil
			}
			continue
		default:
		}
		if a, err := m.start(ctx, conn, first); a != nil || !errors.Is(err, errNoSession) && err != nil {
			return a, err
		} else if err != nil {
			if refusals++; refusals == sessionTries {
				return nil, &deployer.Error{
					Code: deployer.CodeRefused, Step: "connect", Message: err.Error(),
					Advice: "Allow sessions on the server (MaxSessions 2 or more), and a shell for this user.",
				}
			}
		}
		wait := time.NewTimer(time.Duration(1+refusals) * 50 * time.Millisecond)
		select {
		case a := <-m.free:
			wait.Stop()
			if a.conn == conn {
				return a, nil
			}
		case <-conn.Done():
			wait.Stop()
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, stopped(ctx)
		}
	}
}

// start starts one more agent, if another may be started; else it gives nil.
func (m *machine) start(ctx context.Context, conn Conn, first string) (*pooled, error) {
	m.mu.Lock()
	if m.conn != conn || m.open >= m.most {
		m.mu.Unlock()
		return nil, nil
	}
	m.open++
	m.mu.Unlock()
	a, err := startAgent(ctx, conn, first)
	if err == nil {
		return &pooled{a, conn}, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != conn {
		return nil, err
	}
	m.open--
	if errors.Is(err, errNoSession) && m.open > 0 {
		m.most = m.open
		return nil, nil
	}
	return nil, err
}

// give takes an agent back.
func (m *machine) give(a *pooled) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == a.conn && !a.lost {
		select {
		case m.free <- a:
			return
		default:
		}
	}
	_ = a.session.Close()
	if m.conn == a.conn {
		m.open--
	}
}

// connected gives the connection, alive as far as it is known.
func (m *machine) connected(ctx context.Context) (Conn, error) {
	if conn, err := m.current(); conn != nil || err != nil {
		return conn, err
	}
	select {
	case m.dialling <- struct{}{}:
		defer func() { <-m.dialling }()
	case <-ctx.Done():
		return nil, stopped(ctx)
	}
	if conn, err := m.current(); conn != nil || err != nil {
		return conn, err
	}
	conn, err := m.transport.Connect(ctx, m.address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = conn.Close()
		return nil, errClosed()
	}
	m.conn, m.open, m.most = conn, 0, maxAgents
	return conn, nil
}

func (m *machine) current() (Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed()
	}
	if m.conn != nil {
		select {
		case <-m.conn.Done():
			m.conn = nil
		default:
		}
	}
	return m.conn, nil
}

// close ends the connection. What agents are at they finish.
func (m *machine) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.conn != nil {
		_ = m.conn.Close()
	}
}

func errClosed() error {
	return deployer.Errorf(deployer.CodeInterrupted, "the deployer is ending")
}

func stopped(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return deployer.Errorf(deployer.CodeUnreachable, "no answer in time")
	}
	return deployer.Errorf(deployer.CodeInterrupted, "stopped: %v", context.Cause(ctx))
}

// note remembers that a release was seen. It is a hint that saves an upload,
// and is asked about before it is believed.
func (m *machine) note(root, revision string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[root+"/"+revision] = true
}

func (m *machine) holds(root, revision string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[root+"/"+revision]
}

// latency is a round trip to the machine; 0 when not known.
func (m *machine) latency() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil {
		return 0
	}
	return m.conn.Latency()
}

// forget drops all that was noted of a deployment.
func (m *machine) forget(root string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.seen {
		if strings.HasPrefix(path, root+"/") {
			delete(m.seen, path)
		}
	}
}

// dial connects to an address as the machine sees it.
func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := m.connected(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Dial(ctx, network, address)
}
