// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"fmt"
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

// waitScript lets the command begin only when it is told to: one whose owner
// died before there was a guard never begins.
const waitScript = `read -r _ <&%[1]d && exec "$0" "$@" %[1]d<&-`

func start(cmd *exec.Cmd) (group, error) {
	if err := executable(cmd); err != nil {
		return group{}, err
	}
	wait, begin, err := os.Pipe()
	if err != nil {
		return group{}, err
	}
	defer func() { _ = wait.Close(); _ = begin.Close() }()
	cmd.Args = append([]string{"/bin/sh", "-c", fmt.Sprintf(waitScript, 3+len(cmd.ExtraFiles)), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = append(cmd.ExtraFiles, wait)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return group{}, err
	}
	g := group{id: cmd.Process.Pid}
	err = g.watch()
	if err == nil {
		_, err = begin.WriteString("\n")
	}
	if err != nil {
		_ = syscall.Kill(-g.id, syscall.SIGKILL)
		_ = cmd.Wait()
		g.dismiss()
		return group{}, err
	}
	return g, nil
}

// executable says what the shell would say too late.
func executable(cmd *exec.Cmd) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	_, err := exec.LookPath(cmd.Path)
	return err
}

// watch starts the guard.
func (g *group) watch() error {
	input, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	guard := exec.Command("/bin/sh", "-c", guardScript, "guard", strconv.Itoa(g.id))
	guard.Stdin = input
	guard.Env = []string{"PATH=/usr/bin:/bin"}
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := guard.Start(); err != nil {
		_ = alive.Close()
		return err
	}
	g.guard, g.alive = guard, alive
	return nil
}

// end terminates all that is left of the group. ended, when the leader still
// runs, tells that it was waited for; what the leader leaves behind is asked
// once more.
func (g group) end(grace time.Duration, ended <-chan struct{}) {
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
			_ = syscall.Kill(-g.id, syscall.SIGTERM)
			deadline.Reset(min(grace, leftoverGrace))
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
	if g.guard == nil {
		return
	}
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
