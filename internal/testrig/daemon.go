// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds how long a rig waits for what it started.
const patience = 30 * time.Second

// daemon is a background program of a test, its output kept.
type daemon struct {
	cmd  *exec.Cmd
	dead chan struct{}

	mu     sync.Mutex
	output []string      // last lines
	ready  chan struct{} // closed at the first line that contains readyText
	isUp   bool
	err    error // how it ended, after dead
}

const outputLines = 50

// startDaemon starts cmd and returns when it has printed readyText.
func startDaemon(cmd *exec.Cmd, readyText string) (*daemon, error) {
	d, err := spawnDaemon(cmd, readyText)
	if err != nil {
		return nil, err
	}
	return d, d.waitReady()
}

// spawnDaemon starts cmd without waiting for it.
func spawnDaemon(cmd *exec.Cmd, readyText string) (*daemon, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	dieWithParent(cmd)
	d := &daemon{cmd: cmd, dead: make(chan struct{}), ready: make(chan struct{})}
	err = cmd.Start()
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, err
	}
	go d.read(reader, readyText)
	go func() {
		d.err = cmd.Wait()
		close(d.dead)
	}()
	return d, nil
}

func (d *daemon) read(r io.ReadCloser, readyText string) {
	defer r.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		d.mu.Lock()
		d.output = append(d.output, lines.Text())
		if len(d.output) > outputLines {
			d.output = d.output[1:]
		}
		if !d.isUp && strings.Contains(lines.Text(), readyText) {
			d.isUp = true
			close(d.ready)
		}
		d.mu.Unlock()
	}
}

func (d *daemon) waitReady() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-d.ready:
		return nil
	case <-d.dead:
		return fmt.Errorf("%s ended at once: %v\n%s", d.cmd.Path, d.err, d.log())
	case <-timer.C:
		d.kill()
		return fmt.Errorf("%s was not ready within %s\n%s", d.cmd.Path, patience, d.log())
	}
}

func (d *daemon) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.output, "\n")
}

// kill ends the daemon and returns when it is gone.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.dead
}

// showOnFailure logs what the daemon said when the test has failed.
func (d *daemon) showOnFailure(t testing.TB, name string) {
	if t.Failed() {
		t.Logf("%s said:\n%s", name, d.log())
	}
}
