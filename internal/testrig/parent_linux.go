// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the program when this process ends. The signal follows
// the thread that started it, which Go's runtime keeps for the life of the
// process unless a goroutine exits while locked to it; no rig does that.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
