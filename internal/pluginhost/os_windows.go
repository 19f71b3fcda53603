// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build windows

package pluginhost

import (
	"os"
	"os/exec"
	"syscall"
)

// lockNew makes a file and keeps it open, which keeps others from removing it.
func lockNew(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// lockIsFree tries by renaming, which an open file refuses.
func lockIsFree(path string) bool {
	if err := os.Rename(path, path+".free"); err != nil {
		return false
	}
	return os.Rename(path+".free", path) == nil
}

// ownPrivate: temporary directories are each user's own here.
func ownPrivate(string) bool { return true }

func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func killGroup(p *os.Process) error { return p.Kill() }

func busy(error) bool { return false }
