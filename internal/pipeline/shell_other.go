// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !windows

package pipeline

import "os/exec"

func shell(command string) *exec.Cmd { return exec.Command("/bin/sh", "-c", command) }
