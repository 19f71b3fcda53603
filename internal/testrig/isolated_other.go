// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package testrig

import "testing"

func (f *Fleet) startIsolated(t testing.TB, _ int, _ fleetOptions) {
	t.Helper()
	t.Fatal("hosts of their own are made of Linux namespaces: run this test on Linux")
}
