// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// alive says whether a process group has a process that runs. Dead ones that
// nobody waits for, as in a container whose first process does not, are none.
func alive(group int) bool {
	if syscall.Kill(-group, 0) != nil {
		return false
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// "pid (name) state parent group …"; a name may hold anything.
		fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
		if len(fields) > 2 && string(fields[2]) == strconv.Itoa(group) && !bytes.ContainsAny(fields[0], "ZX") {
			return true
		}
	}
	return false
}

// sweep kills every process that carries the mark in its environment, until
// none is found: one that is killed may have just started another.
func sweep(mark string) {
	for range 10 {
		if !sweepOnce([]byte(mark)) {
			return
		}
	}
}

func sweepOnce(mark []byte) (found bool) {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environments {
		data, err := os.ReadFile(name) // empty for a zombie, refused for other users' processes
		if err != nil || !bytes.Contains(data, mark) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			found = true
		}
	}
	return found
}
