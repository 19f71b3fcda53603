// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Command terraform-provider-delivery is a Terraform provider that builds
// releases of applications and deploys them as part of the Terraform graph.
package main

import (
	"context"
	"flag"
	"log"
	"runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/tfdelivery/terraform-provider-delivery/internal/provider"
)

// version is set by the linker when a release is built.
var version = "dev"

// Terraform starts the provider several times in an apply, and most of these
// lives are over before it has used this much memory: until then garbage is
// collected less often.
const (
	garbagePercent = 400
	softMemory     = 64 << 20 // bytes
)

func main() {
	debug.SetGCPercent(garbagePercent)
	debug.SetMemoryLimit(softMemory)
	debugged := flag.Bool("debug", false, "serve for a debugger, such as delve, to attach to")
	flag.Parse()
	if err := serve(*debugged); err != nil {
		log.Fatal(err)
	}
}

// serve returns when Terraform is done with the provider, and leaves no
// process behind.
func serve(debugged bool) error {
	processes := &provider.Processes{}
	defer processes.Close()
	return providerserver.Serve(context.Background(), provider.New(version, processes), providerserver.ServeOpts{
		Address:         provider.Address,
		Debug:           debugged,
		ProtocolVersion: 6,
	})
}
