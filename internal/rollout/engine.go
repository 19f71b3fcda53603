// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Engine rolls revisions out through one deployer. It has no state between
// runs; runs may be concurrent.
type Engine struct {
	Deployer    deployer.Deployer
	Description deployer.Description // of the deployer
	Clock       Clock                // nil: SystemClock
	Analyzer    Analyzer             // nil: none
	// Observe receives events, if it is not nil. It is called one event at a
	// time, and holds up the engine while it runs.
	Observe func(Event)
}

// Analyzer judges a revision while it takes over, and at last before the rollout
// counts as successful.
type Analyzer interface {
	// Analyze returns nil if the revision may go on. It respects the context.
	Analyze(ctx context.Context, gate Gate) error
}

// Gate is what an Analyzer judges.
type Gate struct {
	Revision  deployer.RevisionInfo
	Instances []string // that run the revision, or get a share of traffic
	Analyses  []string // that must hold; nil: all
	Last      bool     // the last gate
}
