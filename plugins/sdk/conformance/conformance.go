// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package conformance checks that a deployer keeps the contract of package
// deployer. It drives any program that speaks delivery.deployer.v1, in whatever
// language, over the wire; what it checks depends on the capabilities that the
// deployer declares. A deployer's authors need one test:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Config{
//			Executable: build(t),
//			Target:     func(t *testing.T) json.RawMessage { … }, // a fresh place
//		})
//	}
package conformance

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Config says which deployer to check, and with what.
type Config struct {
	// Executable is the deployer's program. It is started as Terraform's
	// provider starts it, once for each check and, where something has to
	// outlive the process, again.
	Executable string
	// Deployer, in place of Executable, makes a deployer in this process, as
	// often as a process would be started. It is still driven over the wire.
	Deployer func() deployer.Core

	// Connection is the connection configuration; nil: {}. SSH is the
	// provider's ssh block, for deployers with the capability ssh_connection.
	Connection json.RawMessage
	SSH        json.RawMessage
	// Target makes the configuration of a target on which nothing is deployed
	// yet, a different one each time.
	Target func(t *testing.T) json.RawMessage
	// Artifact makes an artifact whose content depends on name; nil: a
	// small archive (deployer.MediaTypeArchive) with one file called VERSION.
	Artifact func(t *testing.T, name string) deployer.Artifact
	// Environment of revisions; nil: none.
	Environment map[string]string
	// Shell runs a script that is its last argument, where revisions of this
	// deployer run; nil: sh -c. It is for the capability run.
	Shell []string
	// Timeout bounds each call; 0: a minute.
	Timeout time.Duration
	// Serial runs one check at a time, for platforms that bear no more.
	Serial bool
}

// check is one property of the contract.
type check struct {
	name  string
	needs []deployer.Capability
	run   func(r *rig)
}

// Run checks everything that applies. Each check is a subtest with a target of
// its own.
func Run(t *testing.T, config Config) {
	t.Helper()
	if (config.Executable == "") == (config.Deployer == nil) || config.Target == nil {
		t.Fatal("conformance: Config needs a Target, and either an Executable or a Deployer")
	}
	if config.Timeout <= 0 {
		config.Timeout = time.Minute
	}
	if config.Artifact == nil {
		config.Artifact = archive
	}
	if config.Shell == nil {
		config.Shell = []string{"sh", "-c"}
	}
	description, err := connect(t, config).Describe(t.Context())
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	for _, c := range slices.Concat(planChecks, changeChecks, checkChecks, lockChecks, ledgerChecks, trafficChecks, runChecks) {
		if !slices.ContainsFunc(c.needs, func(n deployer.Capability) bool { return !description.Can(n) }) {
			t.Run(c.name, func(t *testing.T) {
				if !config.Serial {
					t.Parallel()
				}
				c.run(newRig(t, config, description))
			})
		}
	}
}
