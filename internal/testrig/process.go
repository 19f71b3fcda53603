// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Process is a terraform command that is still running.
type Process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu      sync.Mutex
	output  strings.Builder
	changed chan struct{} // closed and replaced at every write
}

// Start starts a terraform command in a process group of its own, as a shell
// does, and returns at once.
func (tf *Terraform) Start(args ...string) *Process {
	tf.t.Helper()
	p := &Process{t: tf.t, cmd: exec.Command("terraform", args...), done: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = tf.Dir, tf.Env
	p.cmd.Stdout, p.cmd.Stderr = p, p
	ownGroup(p.cmd)
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		tf.t.Fatalf("start terraform: %v", err)
	}
	tf.t.Cleanup(func() {
		_ = killGroup(p.cmd)
		<-p.done
	})
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p
}

// StartApply starts an apply that asks nothing.
func (tf *Terraform) StartApply(args ...string) *Process {
	tf.t.Helper()
	return tf.Start(arguments(applyArguments, args)...)
}

// Write takes the command's output.
func (p *Process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.output.Write(data)
	close(p.changed)
	p.changed = make(chan struct{})
	return len(data), nil
}

// WaitFor returns when the command has printed a text; the test fails if it
// ends before.
func (p *Process) WaitFor(text string) {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		p.mu.Lock()
		found, changed := strings.Contains(p.output.String(), text), p.changed
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-p.done:
			p.mu.Lock()
			found, all := strings.Contains(p.output.String(), text), p.output.String()
			p.mu.Unlock()
			if !found {
				p.t.Fatalf("terraform ended (%v) without saying %q:\n%s", p.err, text, all)
			}
			return
		case <-timer.C:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("terraform did not say %q within %s:\n%s", text, patience, p.output.String())
		}
	}
}

// Interrupt does what Ctrl-C in a terminal does: SIGINT to the whole process
// group, Terraform, the provider and its deployers.
func (p *Process) Interrupt() {
	p.t.Helper()
	if err := interruptGroup(p.cmd); err != nil {
		p.t.Fatalf("interrupt terraform: %v", err)
	}
}

// Kill ends every process of the group with SIGKILL.
func (p *Process) Kill() {
	p.t.Helper()
	if err := killGroup(p.cmd); err != nil {
		p.t.Fatalf("kill terraform: %v", err)
	}
}

// KillOne ends terraform alone with SIGKILL.
func (p *Process) KillOne() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("kill terraform: %v", err)
	}
}

// Wait returns when the command has ended.
func (p *Process) Wait() Output {
	p.t.Helper()
	timer := time.NewTimer(commandTime)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.t.Fatalf("terraform did not end within %s", commandTime)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return Output{Args: p.cmd.Args, Stdout: p.output.String(), Err: p.err}
}
