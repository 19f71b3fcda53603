// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package process

import "syscall"

// alive says whether a process group has a process.
func alive(group int) bool { return syscall.Kill(-group, 0) == nil }

// sweep has nothing to look through on this system.
func sweep(string) {}
