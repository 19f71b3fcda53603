// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package deployer is the contract between the rollout engine and whatever
// puts a release on a platform. It is plain Go: no protobuf, no gRPC, no
// Terraform, standard library only. The same [Deployer] interface is
// implemented by a plugin's code and by the client that talks to a plugin in
// another process, so its callers cannot tell one from the other.
//
// Plugins move, the engine decides: each call is one small, idempotent step on
// one instance, and says what it observed. Order, batches, thresholds,
// deadlines and reverts belong to the engine.
package deployer

import (
	"context"
	"time"
)

// Core is the smallest deployer. Everything else is an optional interface of
// this package, found by type assertion; [Complete] supplies the defaults.
type Core interface {
	// Describe says who the deployer is, how it is configured and what it can do.
	Describe(ctx context.Context) (Description, error)
	// Inspect answers what runs where, now. It changes nothing, looks at
	// instances in parallel and is bounded in time. An instance that cannot be
	// reached is an answer ([Instance.Unreachable]), not an error.
	Inspect(ctx context.Context, req InspectRequest) (TargetState, error)
	// Activate makes a prepared or retained revision serve on one instance. It
	// is idempotent (activating what runs already repairs drift) and
	// convergent: after any interruption Inspect tells the truth, and Activate
	// of the old or the new revision converges.
	Activate(ctx context.Context, req ActivateRequest, events EventSink) (Result, error)
	// Remove takes the deployment off one instance. It removes only what
	// carries req.Owner. Removing what is not there succeeds.
	Remove(ctx context.Context, req RemoveRequest, events EventSink) (Result, error)
}

// Configurer receives the connection configuration of the provider block.
type Configurer interface {
	// Configure is called once, before any call but Describe and Validate. It
	// must not connect to anything.
	Configure(ctx context.Context, req ConfigureRequest) error
}

// Validator judges a target's configuration without looking at the world.
type Validator interface {
	// Validate is static and pure: no network, no clock. Unknown values travel
	// as [UnknownMarker]. It returns the instances that the configuration asks
	// for, from which plans are computed.
	Validate(ctx context.Context, req ValidateRequest) (Validation, error)
}

// Previewer looks ahead. What it says becomes warnings, never planned values.
type Previewer interface {
	Preview(ctx context.Context, req PreviewRequest) (Preview, error)
}

// Locker holds the lock of one deployment on its target, in every scope, so
// that two applies cannot change it at once. Different deployments on one
// target do not block each other.
type Locker interface {
	// Acquire takes the lock, in sorted scope order, or fails with
	// [CodeLocked] naming the holder. A dead holder's lock is taken over.
	Acquire(ctx context.Context, req AcquireRequest) (Lock, error)
	// Renew extends the lease. [CodeFenced] says that it was lost.
	Renew(ctx context.Context, req RenewRequest) error
	// Release gives the lock back. Releasing a lost lock succeeds.
	Release(ctx context.Context, req ReleaseRequest) error
}

// Preparer brings what a revision needs without touching what runs: upload and
// unpack, pull, namespaces, dry-run.
type Preparer interface {
	Prepare(ctx context.Context, req PrepareRequest, events EventSink) (Result, error)
}

// Stager runs a revision beside the current one, without user traffic.
// Without it blue/green is refused at plan.
type Stager interface {
	Stage(ctx context.Context, req StageRequest, events EventSink) (Result, error)
}

// Checker judges one revision on one instance from the best vantage point that
// the deployer has.
type Checker interface {
	Check(ctx context.Context, req CheckRequest) (CheckResult, error)
}

// Retirer drains and stops a revision, keeping what a fast return needs.
type Retirer interface {
	Retire(ctx context.Context, req RetireRequest, events EventSink) (Result, error)
}

// Shifter sets the shares of traffic in one scope, absolutely and idempotently.
type Shifter interface {
	Shift(ctx context.Context, req ShiftRequest) (Result, error)
}

// Recorder keeps the ledger on the target. Without it a deployment has no
// history and no ownership.
type Recorder interface {
	// Record appends one entry on every reachable instance and advances the
	// generation. An entry with a successful end makes its revision last good.
	Record(ctx context.Context, req RecordRequest) error
	// History returns entries, newest first.
	History(ctx context.Context, req HistoryRequest) ([]Entry, error)
}

// Pruner drops what retention no longer wants; never the serving, the last
// good or a running revision.
type Pruner interface {
	Prune(ctx context.Context, req PruneRequest) (PruneResult, error)
}

// LogReader streams log lines of what serves on an instance.
type LogReader interface {
	Logs(ctx context.Context, req LogsRequest, lines func(line string) error) error
}

// CommandRunner runs a one-off command in a revision's context.
type CommandRunner interface {
	Run(ctx context.Context, req RunRequest, events EventSink) (RunResult, error)
}

// StageRunner runs one pipeline stage on the platform.
type StageRunner interface {
	RunStage(ctx context.Context, req RunStageRequest, events EventSink) (RunResult, error)
}

// Deployer is every call of the protocol. Callers consult
// [Description.Capabilities] before they use an optional one; without the
// capability the call has the default that [Complete] documents.
type Deployer interface {
	Core
	Configurer
	Validator
	Previewer
	Locker
	Preparer
	Stager
	Checker
	Retirer
	Shifter
	Recorder
	Pruner
	LogReader
	CommandRunner
	StageRunner
}

// Event is one sign of life from a long call.
type Event struct {
	Time     time.Time
	Instance string
	Phase    string // what is being done, such as "upload" or "install"
	Line     string // one line of output, without its newline
	Done     int64  // bytes done; 0 when the phase has no size
	Total    int64  // bytes in all; 0 when unknown
}

// EventSink receives events. It is never nil and safe for concurrent use.
type EventSink func(Event)
