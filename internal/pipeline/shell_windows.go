// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"os/exec"
	"syscall"
)

// shell hands the command over as it is: cmd reads quotes in its own way.
func shell(command string) *exec.Cmd {
	cmd := exec.Command("cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /D /S /C "` + command + `"`}
	return cmd
}
