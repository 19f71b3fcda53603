// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"errors"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

func interruptGroup(*exec.Cmd) error { return errors.New("this rig sends signals only on Unix") }

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
