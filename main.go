// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Command terraform-provider-delivery is a Terraform provider that builds
// releases of applications and deploys them as part of the Terraform graph.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/tfdelivery/terraform-provider-delivery/internal/provider"
)

// version is set by the linker when a release is built.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve for a debugger, such as delve, to attach to")
	flag.Parse()
	if err := serve(*debug); err != nil {
		log.Fatal(err)
	}
}

// serve returns when Terraform is done with the provider, and leaves no
// process behind.
func serve(debug bool) error {
	processes := &provider.Processes{}
	defer processes.Close()
	return providerserver.Serve(context.Background(), provider.New(version, processes), providerserver.ServeOpts{
		Address:         provider.Address,
		Debug:           debug,
		ProtocolVersion: 6,
	})
}
