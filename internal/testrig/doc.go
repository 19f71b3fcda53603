// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package testrig gives tests the real thing: fleets of hosts with OpenSSH,
// OCI registries, Git servers, slow and broken networks, and Terraform with
// this provider. Everything it starts belongs to one test, is told apart from
// what other tests and other test processes run at the same time, and ends with
// the test, also when the test process is killed.
//
// It needs Linux, root (for hosts with a network and a process tree of their
// own) and the programs that "make tools" installs.
package testrig
