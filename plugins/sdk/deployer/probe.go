// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	defaultProbeTimeout = 5 * time.Second
	probeLogLimit       = 2 << 10   // bytes of a bad answer that are shown
	probeHeaderLimit    = 256 << 10 // bytes of an answer's headers
)

// ProbeFrom makes one attempt of an HTTP, TCP or gRPC probe with the caller's
// own way to dial: of this process, or through a connection to an instance. An
// empty host in the probe is 127.0.0.1. Certificates are verified when the probe
// says against what, by the roots of this process's machine if it names no CA.
// Without a deadline in ctx an attempt takes at most five seconds.
//
// It answers CheckPass, CheckWait (nobody answers yet) or CheckFail (somebody
// answers, and badly). A probe that is wrong in itself is [CodeInvalid].
func ProbeFrom(ctx context.Context, probe Probe, dial func(ctx context.Context, network, address string) (net.Conn, error)) (CheckResult, error) {
	if err := probe.Validate(); err != nil {
		return CheckResult{}, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultProbeTimeout)
		defer cancel()
	}
	line := &probeLine{dialer: dial}
	switch {
	case probe.HTTP != nil:
		return probeHTTP(ctx, probe.HTTP, line)
	case probe.TCP != nil:
		return probeTCP(ctx, probe.TCP, line), nil
	case probe.GRPC != nil:
		return probeGRPC(ctx, probe.GRPC, line)
	}
	return CheckResult{}, Errorf(CodeUnsupported, "only HTTP, TCP and gRPC probes can be made over a network")
}

func probeTCP(ctx context.Context, p *TCPProbe, line *probeLine) CheckResult {
	address := probeAddress(p.Host, p.Port)
	conn, err := line.dial(ctx, "tcp", address)
	if err != nil {
		return CheckResult{Status: CheckWait, Reason: fmt.Sprintf("connect to %s: %s", address, plain(err))}
	}
	_ = conn.Close()
	return CheckResult{Status: CheckPass, Reason: address + " accepts connections"}
}

// probeLine dials for one attempt, and knows whether anybody answered.
type probeLine struct {
	dialer func(ctx context.Context, network, address string) (net.Conn, error)
	heard  atomic.Bool
}

func (l *probeLine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dialer(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &heardConn{Conn: conn, heard: &l.heard}, nil
}

// failed judges an attempt that got no whole answer. Who is not there, is slow
// or hangs up may still be starting; who says something else than was asked for
// is not.
func (l *probeLine) failed(asked string, err error) CheckResult {
	result := CheckResult{Status: CheckWait, Reason: fmt.Sprintf("%s: %s", asked, plain(err))}
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, context.Canceled)
	if l.heard.Load() && !hungUp && !isTimeout(err) {
		result.Status = CheckFail
	}
	return result
}

type heardConn struct {
	net.Conn
	heard *atomic.Bool
}

func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, err
}

func probeAddress(host string, port int) string {
	return net.JoinHostPort(loopbackIfEmpty(host), strconv.Itoa(port))
}

func loopbackIfEmpty(host string) string {
	if host == "" {
		return "127.0.0.1"
	}
	return host
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// plain drops what http.Client repeats around the reason.
func plain(err error) string {
	if isTimeout(err) {
		return "no answer in time"
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, io.EOF) {
		return "the connection was closed without an answer"
	}
	return err.Error()
}

// shown are the lines of a bad answer's beginning.
func shown(answer []byte) []string {
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(answer[:min(len(answer), probeLogLimit)]), "?")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
