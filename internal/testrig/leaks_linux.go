// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lingering is how long a process of the provider may take to end after
// Terraform has.
const lingering = 10 * time.Second

// NoLeaks fails the test if a program under dir, which [Provider] or [Plugins]
// made, is still running shortly after everything ended.
func NoLeaks(t testing.TB, dir string) {
	t.Helper()
	deadline := time.Now().Add(lingering)
	for _, pid := range Running(dir) {
		if !endsBefore(pid, deadline) {
			t.Errorf("left behind: process %d: %s", pid, commandLine(pid))
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// Running lists the processes whose program is under dir.
func Running(dir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && strings.HasPrefix(program, filepath.Clean(dir)+string(filepath.Separator)) {
			found = append(found, pid)
		}
	}
	return found
}

// endsBefore waits for the end of a process.
func endsBefore(pid int, deadline time.Time) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	for {
		left := max(time.Until(deadline), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		return err == nil && n > 0
	}
}

func commandLine(pid int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
}
