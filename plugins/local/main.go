// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Command delivery-deployer-local deploys to the machine that Terraform runs on.
package main

import (
	"github.com/tfdelivery/terraform-provider-delivery/plugins/internal/hostdeploy"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
)

// version is set by the linker at a release.
var version = "dev"

func main() { sdk.Serve(hostdeploy.New(hostdeploy.Local, version)) }
