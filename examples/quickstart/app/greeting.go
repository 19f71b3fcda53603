// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

func greeting() string { return "Hello" }
