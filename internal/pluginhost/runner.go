// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// drainTime is how long output is still read after a program has ended: what
// it left behind may hold the pipe open for ever.
const drainTime = 250 * time.Millisecond

// programRunner runs a program for go-plugin. It differs from go-plugin's own
// in that it has a process group, no standard input, bounded output, and an end
// that does not depend on who else holds the pipes.
type programRunner struct {
	cmd    *exec.Cmd
	tail   *tail
	stdout *io.PipeReader
	stderr *io.PipeReader

	mu      sync.Mutex
	started bool
	killed  bool   // perhaps before it was started
	first   string // line of standard output: the handshake
	exited  chan struct{}
	err     error // of Wait, once exited
}

var _ runner.Runner = (*programRunner)(nil)

func newRunner(cmd *exec.Cmd) *programRunner {
	return &programRunner{cmd: cmd, tail: &tail{}, exited: make(chan struct{})}
}

// Start starts the program and follows it to its end.
func (r *programRunner) Start(ctx context.Context) error {
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		_, _ = outRead.Close(), outWrite.Close()
		return err
	}
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = nil, outWrite, errWrite
	ownGroup(r.cmd)
	err = r.begin(ctx)
	_, _ = outWrite.Close(), errWrite.Close()
	if err != nil {
		_, _ = outRead.Close(), errRead.Close()
		return err
	}
	var out, log *io.PipeWriter
	r.stdout, out = io.Pipe()
	r.stderr, log = io.Pipe()
	var reading sync.WaitGroup
	reading.Go(func() {
		defer func() { _ = out.Close() }()
		r.copyHandshake(outRead, out)
	})
	reading.Go(func() {
		defer func() { _ = log.Close() }()
		copyLines(errRead, r.tail, log)
	})
	go r.follow(&reading, outRead, errRead)
	return nil
}

// errKilled is the end of a program that was not to start any more.
var errKilled = errors.New("killed before it started")

// begin starts the program unless it was killed before.
func (r *programRunner) begin(ctx context.Context) error {
	r.mu.Lock()
	killed := r.killed
	r.mu.Unlock()
	if killed {
		return errKilled
	}
	if err := startRetrying(ctx, r.cmd); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
	if r.killed {
		_ = killGroup(r.cmd.Process)
	}
	return nil
}

// startRetrying waits out the moment in which a file just written cannot be run.
func startRetrying(ctx context.Context, cmd *exec.Cmd) error {
	for {
		err := cmd.Start()
		if !busy(err) {
			return err
		}
		again := *cmd
		*cmd = exec.Cmd{
			Path: again.Path, Args: again.Args, Env: again.Env, Dir: again.Dir,
			Stdout: again.Stdout, Stderr: again.Stderr, SysProcAttr: again.SysProcAttr,
		}
		pause := time.NewTimer(10 * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// follow waits for the end of the program, takes away what it left in its
// group, and closes its output.
func (r *programRunner) follow(reading *sync.WaitGroup, pipes ...*os.File) {
	err := r.cmd.Wait()
	_ = killGroup(r.cmd.Process)
	drained := make(chan struct{})
	go func() {
		reading.Wait()
		close(drained)
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
	}
	for _, p := range pipes {
		_ = p.Close()
	}
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	close(r.exited)
}

// copyHandshake passes the first line on and drops the rest.
func (r *programRunner) copyHandshake(from io.Reader, to io.Writer) {
	reader := bufio.NewReaderSize(from, handshakeLine)
	line, err := readLine(reader)
	r.mu.Lock()
	r.first = line
	r.mu.Unlock()
	if line != "" {
		_, _ = io.WriteString(to, line+"\n")
	}
	if err == nil {
		_, _ = io.Copy(io.Discard, reader)
	}
}

func (r *programRunner) handshake() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// how says how the program ended; "" while it runs.
func (r *programRunner) how() string {
	select {
	case <-r.exited:
	default:
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err.Error()
	}
	return "exit status 0"
}

// Wait waits for the end.
func (r *programRunner) Wait(context.Context) error {
	<-r.exited
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Kill ends the program and all that it started. One that has not started yet
// ends as soon as it has.
func (r *programRunner) Kill(context.Context) error {
	r.mu.Lock()
	r.killed = true
	started := r.started
	r.mu.Unlock()
	if !started {
		return nil
	}
	select {
	case <-r.exited:
		return nil
	default:
	}
	return killGroup(r.cmd.Process)
}

// Stdout carries the handshake.
func (r *programRunner) Stdout() io.ReadCloser { return r.stdout }

// Stderr carries the log.
func (r *programRunner) Stderr() io.ReadCloser { return r.stderr }

// Name is the program's path.
func (r *programRunner) Name() string { return r.cmd.Path }

// ID is the process id.
func (r *programRunner) ID() string {
	if r.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(r.cmd.Process.Pid)
}

// Diagnose adds nothing: start explains what went wrong.
func (r *programRunner) Diagnose(context.Context) string { return "" }

// PluginToHost leaves addresses as they are.
func (r *programRunner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin leaves addresses as they are.
func (r *programRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
