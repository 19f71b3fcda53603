// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package analysis

import "os/exec"

// ownGroup leaves it to exec.CommandContext to end the process itself.
func ownGroup(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
