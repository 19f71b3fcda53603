// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package sdk makes a program out of a deployer: [Serve] is the whole of its
// main, [SchemaOf] derives the schema of its configuration from ordinary Go
// structs, and [Decode] reads configuration into them. What a deployer has to
// do is in package deployer, and package conformance checks that it does.
package sdk
