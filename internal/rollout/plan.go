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
	Tasks    Tasks
	Hooks    Hooks
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
	// HealthyThreshold is how many probes in a row must pass; 0: one.
	HealthyThreshold int
	// UnhealthyThreshold is how many probes in a row that somebody answered badly,
	// after StartPeriod, fail the instance before the deadline; 0: only the
	// deadline decides.
	UnhealthyThreshold int
	// StartPeriod is how long after its activation an instance may answer badly.
	StartPeriod time.Duration
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
	// Timeout bounds the whole way back; 0: what the number of instances and the
	// health check need.
	Timeout time.Duration
	// RefuseFailed refuses a revision that failed on this target before.
	RefuseFailed bool
}

// Command is a shell command that runs in a revision's context on an instance.
type Command struct {
	Command string        // "": none
	Timeout time.Duration // 0: ten minutes
}

// Tasks run once, in the new revision's context, on the first instance that is
// switched: Before when it is prepared everywhere and switched nowhere, After
// when it is healthy everywhere. A failure of either fails the rollout. A
// rollout that was interrupted and goes on runs them again.
type Tasks struct {
	Before Command
	After  Command
}

// Hooks run around each switch of an instance: Drain in the context of the
// revision that serves, before it goes; Undrain in that of the new one, once it
// is healthy. A newcomer is not drained. On the way forward a failure fails the
// instance; on the way back it is reported and does not hold up the revert.
type Hooks struct {
	Drain   Command
	Undrain Command
}
