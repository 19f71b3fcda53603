// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestARunningProgramIsFoundByItsDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "waits")
	if err := copyFile("/bin/cat", program); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if pids := Running(dir); len(pids) != 1 || pids[0] != cmd.Process.Pid {
		t.Errorf("running: %v, want %d", pids, cmd.Process.Pid)
	}
	if !strings.Contains(commandLine(cmd.Process.Pid), "waits") {
		t.Error("its command line is not shown")
	}
	stdin.Close()
	NoLeaks(t, dir)
	_ = cmd.Wait()
}
