// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// group is a session of its own: without a terminal, so nothing in it can
// prompt, and with a process group that signals reach as a whole.
type group struct {
	id    int
	guard *exec.Cmd
	alive *os.File // closed with this process, which the guard then notices
}

// guardScript waits until its input ends, which it does when this process dies,
// and then ends the group.
const guardScript = `read -r _; kill -TERM "-$1" && sleep 5 && kill -KILL "-$1"`

func start(cmd *exec.Cmd) (group, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	input, alive, err := os.Pipe()
	if err != nil {
		return group{}, err
	}
	defer func() { _ = input.Close() }()
	if err := cmd.Start(); err != nil {
		_ = alive.Close()
		return group{}, err
	}
	g := group{id: cmd.Process.Pid, alive: alive}
	g.guard = exec.Command("/bin/sh", "-c", guardScript, "guard", strconv.Itoa(g.id))
	g.guard.Stdin = input
	g.guard.Env = []string{"PATH=/usr/bin:/bin"}
	g.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.guard.Start(); err != nil {
		_ = syscall.Kill(-g.id, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = alive.Close()
		return group{}, err
	}
	return g, nil
}

// end terminates all that is left of the group. ended, when the leader still
// runs, tells that it was waited for.
func (g group) end(grace time.Duration, ended <-chan error) {
	defer g.dismiss()
	_ = syscall.Kill(-g.id, syscall.SIGTERM)
	if ended == nil && !alive(g.id) {
		return
	}
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ended:
			ended = nil
		case <-poll.C:
			if ended == nil && !alive(g.id) {
				return
			}
		case <-deadline.C:
			_ = syscall.Kill(-g.id, syscall.SIGKILL)
			if ended != nil {
				<-ended
			}
			return
		}
	}
}

// dismiss stops the guard before it can notice anything.
func (g group) dismiss() {
	_ = g.guard.Process.Kill()
	_ = g.guard.Wait()
	_ = g.alive.Close()
}

func signalOf(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return int(status.Signal())
	}
	return 0
}
