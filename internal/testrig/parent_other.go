// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package testrig

import "os/exec"

func dieWithParent(*exec.Cmd) {}
