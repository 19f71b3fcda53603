// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package process runs a child process together with everything it starts, so
// that nothing of it is left when it ends, is cancelled, or its owner dies.
package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// leftoverGrace is how long processes that a finished command left behind have
// to end after they were asked to, and how long its output is read after that.
const leftoverGrace = 2 * time.Second

// Options say how a command ends.
type Options struct {
	// Grace is how long the group has between being asked to end and being
	// killed, when the context ends before the command.
	Grace time.Duration
	// Sweep also finds processes that left the group (daemons), by a mark in
	// their environment; on Linux only.
	Sweep bool
}

// Run starts cmd, which must not have been made with a context, and waits for
// it. All that it starts is one group: when the command ends, or ctx, or this
// process, the group is asked to end and, after a grace, killed. Output that
// is written to cmd.Stdout and cmd.Stderr has all arrived when Run returns.
//
// The error is that of cmd.Wait, or of starting; when ctx ended first, it is
// the context's cause.
func Run(ctx context.Context, cmd *exec.Cmd, options Options) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	mark := "DELIVERY_PROCESS_GROUP=" + rand.Text()
	if options.Sweep {
		cmd.Env = append(cmd.Environ(), mark)
	}
	output, err := pipes(cmd)
	if err != nil {
		return err
	}
	group, err := start(cmd)
	output.started()
	if err != nil {
		output.close()
		return err
	}

	var result error
	ended := make(chan struct{}) // closed when result is known
	go func() { result = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		err = result
		group.end(leftoverGrace, nil)
	case <-ctx.Done():
		group.end(options.Grace, ended)
		err = context.Cause(ctx)
	}
	if options.Sweep {
		sweep(mark)
	}
	if failure := output.wait(leftoverGrace); failure != nil && err == nil {
		err = failure
	}
	return err
}

// ExitCode is the exit status in err: 0 for nil, 128 and the signal's number
// for a killed process as in shells; ok is false when err is something else.
func ExitCode(err error) (code int, ok bool) {
	if err == nil {
		return 0, true
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, false
	}
	if signal := signalOf(exit.ProcessState); signal > 0 {
		return 128 + signal, true
	}
	return exit.ExitCode(), true
}

// outputs are the pipes between a command and the writers it was given. With
// pipes of our own, waiting for the command does not wait for whoever
// inherited its output.
type outputs struct {
	childs  []*os.File // the command's ends
	ours    []*os.File
	results chan error
}

func pipes(cmd *exec.Cmd) (*outputs, error) {
	o := &outputs{results: make(chan error, 2)}
	shared := cmd.Stdout != nil && sameWriter(cmd.Stdout, cmd.Stderr)
	redirect := func(w io.Writer) (io.Writer, error) {
		if w == nil {
			return nil, nil
		}
		if file, ok := w.(*os.File); ok {
			return file, nil
		}
		r, child, err := os.Pipe()
		if err != nil {
			o.started()
			o.close()
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		o.childs, o.ours = append(o.childs, child), append(o.ours, r)
		go func() {
			_, err := io.Copy(w, r)
			if err != nil { // the command must not block on a writer that failed
				_, _ = io.Copy(io.Discard, r)
			}
			o.results <- err
		}()
		return child, nil
	}
	var err error
	if cmd.Stdout, err = redirect(cmd.Stdout); err != nil {
		return nil, err
	}
	if shared {
		cmd.Stderr = cmd.Stdout
		return o, nil
	}
	cmd.Stderr, err = redirect(cmd.Stderr)
	return o, err
}

// sameWriter compares without panicking on writers that cannot be compared.
func sameWriter(a, b io.Writer) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	return a == b
}

// started closes the command's ends here; it has its own.
func (o *outputs) started() {
	for _, f := range o.childs {
		_ = f.Close()
	}
}

func (o *outputs) close() {
	for _, r := range o.ours {
		_ = r.Close()
	}
}

// wait reads what is still in the pipes; a process that escaped the group and
// holds them open has the grace.
func (o *outputs) wait(grace time.Duration) error {
	defer o.close()
	deadline := time.Now().Add(grace)
	for _, r := range o.ours {
		_ = r.SetReadDeadline(deadline)
	}
	var failure error
	for range o.ours {
		if err := <-o.results; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && failure == nil {
			failure = err
		}
	}
	return failure
}
