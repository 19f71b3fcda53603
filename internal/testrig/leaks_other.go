// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package testrig

import "testing"

// NoLeaks looks for leftovers only on Linux.
func NoLeaks(testing.TB, string) {}

// Running lists processes only on Linux.
func Running(string) []int { return nil }
