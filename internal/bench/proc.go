// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// tick is the unit of times in /proc/<pid>/stat, on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// process is what /proc/<pid>/stat says about a process.
type process struct {
	pid, parent int
	used        time.Duration // its own time and that of its children that ended
}

// parseStat reads /proc/<pid>/stat. The second field is a name in parentheses
// that may hold anything.
func parseStat(stat string) (process, bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(stat[:open]))
	fields := strings.Fields(stat[end+1:])
	if err != nil || len(fields) < 15 {
		return process{}, false
	}
	p := process{pid: pid}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return process{}, false
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return process{}, false
		}
		p.used += time.Duration(ticks) * tick
	}
	return p, true
}

// treeTime is the processor time of this process and all that descend from it,
// the hosts with everything that ran on them included; 0 without /proc.
func treeTime() time.Duration {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]process{}
	var sum time.Duration
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if p, ok := parseStat(string(stat)); ok {
			children[p.parent] = append(children[p.parent], p)
			if p.pid == os.Getpid() {
				sum = p.used
			}
		}
	}
	for next := []int{os.Getpid()}; len(next) > 0; {
		parent := next[0]
		next = next[1:]
		for _, p := range children[parent] {
			sum += p.used
			next = append(next, p.pid)
		}
	}
	return sum
}

// watchInterval is how often memory is looked at. The kernel keeps the peak, so
// only what a process takes in its last moments is missed.
const watchInterval = 10 * time.Millisecond

// watchMemory notes the peak of resident memory, in bytes, of every program
// under a directory, by the program's name, until ctx ends.
func watchMemory(ctx context.Context, dir string) map[string]int64 {
	peaks := map[string]int64{}
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		for _, pid := range testrig.Running(dir) {
			program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			status, failed := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err == nil && failed == nil {
				name := filepath.Base(program)
				peaks[name] = max(peaks[name], parsePeak(string(status)))
			}
		}
		select {
		case <-ctx.Done():
			return peaks
		case <-tick.C:
		}
	}
}

// parsePeak finds VmHWM in /proc/<pid>/status; 0 when it is not there.
func parsePeak(status string) int64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			kib, err := strconv.ParseInt(number, 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
