// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// commandTime bounds every command.
const commandTime = 5 * time.Minute

// A contender is a tool that can put the app on hosts.
type contender struct {
	name    string
	version string
	missing string // why it cannot take part; "" when it can
	// ready writes what one deployment needs and returns the command to time,
	// and what to do after it, which is not timed.
	ready func(t trial) (cmd *exec.Cmd, after func() error, err error)
}

// A trial is one first deployment.
type trial struct {
	hosts hosts
	dir   string // on the hosts; nothing is there yet
	work  string // an empty directory of this trial on this machine
}

// The names of the contenders, in the order of the table.
const (
	limitName       = "limit: one connection, one tar"
	oursName        = "terraform-provider-delivery"
	provisionerName = "terraform file + remote-exec"
	fabricName      = "fabric, threads"
	ansibleName     = "ansible, pipelined"
)

// deploy times one first deployment, checks that every host has the app, and
// takes it away again.
func (c contender) deploy(ctx context.Context, t trial) (took sample, err error) {
	cmd, after, err := c.ready(t)
	if err == nil {
		took, err = run(ctx, cmd)
	}
	if err == nil {
		err = t.eachHost(arrived)
	}
	if after != nil {
		err = errors.Join(err, after())
	}
	err = errors.Join(err, t.eachHost("rm -rf "+t.dir))
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", c.name, err)
	}
	return took, nil
}

// arrived succeeds where the app is what "current" in the deployment's
// directory leads to.
var arrived = fmt.Sprintf(`found=$(find -L current -type f -path '*/lib/package*' | wc -l)
[ "$found" -eq %[1]d ] || { echo "$found of the app's %[1]d text files are there"; exit 1; }`, textFiles)

// eachHost runs a shell command on every host, in the deployment's directory
// if it is there.
func (t trial) eachHost(command string) error {
	errs := make([]error, len(t.hosts.all))
	var group sync.WaitGroup
	for i, h := range t.hosts.all {
		group.Go(func() {
			if out, err := h.machine.Try("cd " + t.dir + " 2>/dev/null; " + command); err != nil {
				errs[i] = fmt.Errorf("%s: %w: %s", h.name, err, strings.TrimSpace(out))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// run times a command, in a process group of its own that ends with ctx.
func run(ctx context.Context, cmd *exec.Cmd) (sample, error) {
	bounded, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	timed := exec.CommandContext(bounded, cmd.Path, cmd.Args[1:]...)
	timed.Dir, timed.Env = cmd.Dir, cmd.Env
	var output bytes.Buffer
	timed.Stdout, timed.Stderr = &output, &output
	ownGroup(timed)
	settle()
	before, started := treeTime(), time.Now()
	err := timed.Run()
	took := sample{wall: time.Since(started)}
	took.all = treeTime() - before
	if timed.ProcessState != nil {
		took.tool = timed.ProcessState.UserTime() + timed.ProcessState.SystemTime()
	}
	if err != nil {
		if bounded.Err() != nil {
			err = fmt.Errorf("no end within %s, or interrupted", commandTime)
		}
		return took, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, lastLines(output.Bytes()))
	}
	return took, nil
}

// lastLines is the end of a tool's output.
func lastLines(output []byte) []byte {
	const most = 4000
	if len(output) > most {
		return output[len(output)-most:]
	}
	return output
}
