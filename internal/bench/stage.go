// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// slowShell is a .bashrc that takes as long as one that loads version managers
// and completions. It sleeps, since real hosts do not share two processors.
const slowShell = "sleep 0.15\n"

// farAway is the round trip of the distant scenarios.
const farAway = 50 * time.Millisecond

// stage is where everything happens: the hosts, the app and the contenders.
type stage struct {
	rig        *rig
	app        string // directory
	archive    string // the same as a gzipped tar, as people send it
	plain      string // and as a tar, for the limit
	files      int
	bytes      int64
	near       hosts
	delivery   delivery
	contenders []contender
	dirs       int
}

func newStage(ctx context.Context, r *rig, o options) (*stage, error) {
	s := &stage{rig: r, near: direct(testrig.NewFleet(r, fleetSize, testrig.Space(diskSize)))}
	dir := r.TempDir()
	server := filepath.Join(dir, "serve")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", server, "./internal/bench/serve")
	build.Dir, build.Env = testrig.Root(r), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the app's server: %w\n%s", err, out)
	}
	s.app, s.archive, s.plain = filepath.Join(dir, "app"), filepath.Join(dir, "app.tar.gz"), filepath.Join(dir, "app.tar")
	if err := makeApp(s.app, server); err != nil {
		return nil, err
	}
	var err error
	if s.files, s.bytes, err = measure(s.app); err != nil {
		return nil, err
	}
	if err := errors.Join(pack(s.app, s.archive), pack(s.app, s.plain)); err != nil {
		return nil, err
	}
	s.contenders = []contender{newLimit(s.plain), newProvisioners(s.archive), newFabric(s.archive), newAnsible(s.archive)}
	if o.tools.MatchString(oursName) {
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// enter brings this provider into the race, with the app as a release in its
// store.
func (s *stage) enter(ctx context.Context) error {
	s.delivery = newDelivery(s.rig)
	s.contenders = slices.Insert(s.contenders, 1, s.delivery.contender("app:1.0.0"))
	cmd, err := s.delivery.release(s.rig.TempDir(), "app", s.app)
	if err == nil {
		_, err = run(ctx, cmd)
	}
	if err != nil {
		return fmt.Errorf("make the app's release: %w", err)
	}
	return nil
}

// trial is a deployment to a place where nothing was before.
func (s *stage) trial(h hosts) trial {
	s.dirs++
	return trial{hosts: h, dir: fmt.Sprintf("/srv/app%d", s.dirs), work: s.rig.TempDir()}
}

// about says what was measured with what, and when.
func (s *stage) about() []string {
	lines := []string{
		time.Now().UTC().Format("2006-01-02 15:04 UTC") + ", " + machine(),
		fmt.Sprintf("app: %d files, %.1f MB; %d hosts in namespaces of their own on this machine, %s", s.files, float64(s.bytes)/1e6, fleetSize, openSSH()),
		"this tree: " + firstLine("git", "-C", testrig.Root(s.rig), "log", "-1", "--format=%h, %ci") + ", " + runtime.Version(),
	}
	for _, c := range s.contenders {
		if c.version != "" {
			lines = append(lines, c.name+": "+c.version)
		}
	}
	return lines
}

func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if found := regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`).FindSubmatch(info); found != nil {
			model = string(found[1])
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d × %s, Linux %s, load %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), one)
}

// openSSH is its version, which it tells on stderr.
func openSSH() string {
	out, err := exec.Command("ssh", "-V").CombinedOutput()
	if err != nil {
		return "OpenSSH of unknown version"
	}
	return strings.TrimSpace(string(out))
}
