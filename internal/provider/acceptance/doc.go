// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package acceptance uses the provider as users do: real Terraform, a real Git
// repository, real hosts with OpenSSH. Each test proves one promise of the
// documentation and would fail without it.
package acceptance
