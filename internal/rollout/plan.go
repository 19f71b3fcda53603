// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Plan is one run of the engine: what shall run where, and how to get there.
type Plan struct {
	Operation deployer.Operation
	Target    deployer.Target
	// Previous is the target as it was last applied, when that differs: its
	// instances that are no longer desired are removed at the end.
	Previous *deployer.Target
	// Owner is the token of this deployment. Nothing that carries another one
	// is touched.
	Owner string
	// Generation is the highest generation seen when the plan was made. A target
	// with a higher one was changed since, and is refused. 0 means that none was
	// seen (a first deployment, or an adoption): ownership alone decides then.
	Generation int64
	// MayAdopt allows to take over a deployment that carries no owner, or
	// another one (after an import).
	MayAdopt bool
	// Revision is what every desired instance shall serve. Its Artifact is not
	// used.
	Revision deployer.Revision
	// Artifact gets the bytes. It is called at most once, and only if an
	// instance has to be prepared, before anything is written on the target.
	Artifact func(ctx context.Context) (deployer.Artifact, error)
	// Desired is what the deployer's Validate answered.
	Desired  []deployer.DesiredInstance
	Strategy Strategy // nil: Rolling with its defaults
	Health   HealthCheck
	Revert   Revert
	Keep     int               // how many revisions retention keeps; the serving and the last good one always stay
	Opaque   map[string][]byte // by instance id, from the last Outcome
	// LockTimeout is how long to wait for somebody else's lock; 0: not at all.
	LockTimeout time.Duration
	// Lease is how long the lock outlives a dead engine; 0: one minute. It is
	// renewed at a third of it.
	Lease time.Duration
}

// HealthCheck says when an instance counts as healthy.
type HealthCheck struct {
	Probe    deployer.Probe // empty: the platform's own view, that the process is up
	Interval time.Duration  // between probes of a healthy instance; 0: one second
	Timeout  time.Duration  // of one probe; 0: five seconds
	// HealthyDeadline is how long an instance may take, from its activation, to
	// have been healthy for the strategy's minimum time; 0: two minutes, and
	// never less than that minimum time needs.
	HealthyDeadline time.Duration
}

// Revert says when what was switched is put back. A failed first deployment is
// always taken off again: there is nothing to leave it on.
type Revert struct {
	Automatic bool // after a failure, a timeout among them
	OnCancel  bool // after a cancellation
}
