// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"encoding/json"
	"time"
)

// Target is all that one deployment addresses.
type Target struct {
	Environment string // environment and deployment names match [a-z0-9][a-z0-9-]{0,30}
	Deployment  string
	// Config is the target configuration as JSON, checked against the target
	// schema, without values the user did not set. At Validate unknown values
	// are UnknownMarker; afterwards there are none.
	Config json.RawMessage
}

// UnknownMarker stands for a value that is not known at plan.
const UnknownMarker = "\x00delivery:unknown\x00"

// Revision is what an instance runs: a release with configuration,
// environment and secrets. It is what is switched, recorded, kept and gone
// back to.
type Revision struct {
	RevisionInfo
	Environment map[string]string
	// Secrets travel only with Prepare, Run and RunStage, and are never logged.
	Secrets  map[string]string
	Artifact Artifact
}

// RevisionInfo is the part of a revision without secrets or values that may be
// sensitive: what ledgers keep and Inspect returns.
type RevisionInfo struct {
	ID             string          `json:"id"` // names and hashes all that is known at plan; matches [a-z0-9][a-z0-9.-]{0,63}
	ReleaseID      string          `json:"release_id"`
	Version        string          `json:"version,omitempty"`
	Commit         string          `json:"commit,omitempty"`
	ArtifactDigest string          `json:"artifact_digest,omitempty"` // recorded beside the id, verified at Prepare
	Config         json.RawMessage `json:"config,omitempty"`          // target configuration fields marked as part of the revision
	// EnvironmentHashes maps each variable's name to a short hash of its value.
	EnvironmentHashes map[string]string `json:"environment,omitempty"`
	SecretNames       []string          `json:"secrets,omitempty"`
	SecretsVersion    int64             `json:"secrets_version,omitempty"`
}

// Artifact is the bytes of a release: a verified, read-only local file or an
// OCI reference. Bytes never cross the wire of the protocol.
type Artifact struct {
	MediaType string
	Digest    string // "sha256:<hex>" of the file as it is
	Size      int64  // bytes
	Path      string
	Reference string
}

// Artifact kinds that a deployer can accept.
const (
	// MediaTypeArchive is a tar archive compressed with zstd.
	MediaTypeArchive = "application/vnd.tfdelivery.archive.v1.tar+zstd"
	MediaTypeImage   = "application/vnd.oci.image.manifest.v1+json"
)

// TargetState is what Inspect observed.
type TargetState struct {
	Owner      string // token of the deployment that owns the target; "" when nobody does
	Generation int64  // highest generation of any ledger seen; 0 when there is none
	LastGood   *RevisionInfo
	Unfinished *Operation // begun and not ended
	Failed     []FailedRevision
	Instances  []Instance // in the order of Validation, then those only in the previous target
}

// Instance is what is switched alone: a host, a replica, a cluster's workloads.
type Instance struct {
	ID      string
	Scope   string // one traffic switch: an engine, a cluster, a fleet
	Order   int
	Desired bool   // the configuration asks for it; false: only the previous target did
	Address string // as configured
	Place   string // as in DesiredInstance; two instances of one id may differ in it, one of them not Desired
	// Unreachable says why the instance could not be observed; all below is
	// then empty.
	Unreachable string
	Owner       string // token found on this instance; "" when nothing of this deployment is there
	Slots       []Slot
	Parts       []Part
	Drift       []Drift
	Opaque      []byte // for platforms that cannot keep labels; handed back at the next Inspect
}

// Serving returns the slot that serves, or nil.
func (i *Instance) Serving() *Slot {
	for n := range i.Slots {
		if i.Slots[n].Role == RoleServing {
			return &i.Slots[n]
		}
	}
	return nil
}

// Holds says whether the instance can activate a revision from what it keeps.
func (i *Instance) Holds(revisionID string) bool {
	for n := range i.Slots {
		if i.Slots[n].Revision.ID == revisionID && !i.Slots[n].Incomplete {
			return true
		}
	}
	return false
}

// Role says what a slot is for.
type Role string

// The roles of a slot.
const (
	RoleServing Role = "serving"
	RoleStaged  Role = "staged"
	RoleRetired Role = "retired" // kept for a return, not running
)

// Slot is one revision present on an instance.
type Slot struct {
	Role     Role
	Revision RevisionInfo
	// Incomplete: it serves or is listed, but what it needs is damaged or
	// gone, so it must be prepared again.
	Incomplete bool
	Health     Health
	Detail     string // in words, such as "exited with status 1, 3 s ago"
	Share      int    // of traffic, in thousandths
	Address    string // where it answers, if the platform assigned it
	Since      time.Time
}

// Health is what was observed of a running revision, without probing.
type Health string

// The states of health.
const (
	HealthHealthy Health = "healthy" // runs as it should, as far as the platform sees
	HealthStopped Health = "stopped" // should run and does not
	HealthFailing Health = "failing" // restarts again and again
	HealthMissing Health = "missing" // what should be there is gone
	HealthUnknown Health = "unknown" // could not be observed
)

// Part is an instance's inside, such as a workload of a cluster.
type Part struct {
	Name     string
	Revision string
	Health   Health
	Detail   string
}

// Drift is one difference between what was put there and what is there.
type Drift struct {
	What     string // such as "current" or "service"
	Expected string
	Actual   string
	By       string // who changed it, when the platform knows
}

// Operation names one run of the engine. Its id labels; it decides nothing.
type Operation struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // one of the Operation… constants
	Actor   string    `json:"actor"`
	Started time.Time `json:"started"`
}

// Kinds of operation.
const (
	OperationCreate = "create"
	OperationUpdate = "update"
	OperationRepair = "repair"
	OperationAdopt  = "adopt"
	OperationRemove = "remove"
)

// FailedRevision is a revision that was tried here and did not hold.
type FailedRevision struct {
	Revision  RevisionInfo
	Reason    string
	Operation string
	Time      time.Time
}

// EntrySchema is the version of the ledger's format.
const EntrySchema = 1

// Entry is one line of a target's ledger, as JSON.
type Entry struct {
	Schema      int          `json:"schema"`
	Phase       string       `json:"phase"` // PhaseBegin or PhaseEnd
	Operation   Operation    `json:"operation"`
	Environment string       `json:"environment"`
	Deployment  string       `json:"deployment"`
	Owner       string       `json:"owner"`
	Generation  int64        `json:"generation"`
	Time        time.Time    `json:"time"`
	To          RevisionInfo `json:"to"`
	// From is what each instance ran at the beginning, by instance id; "" is nothing.
	From map[string]string `json:"from,omitempty"`
	// Runs is what each instance ran at the end, as observed.
	Runs    map[string]string `json:"runs,omitempty"`
	Outcome Outcome           `json:"outcome,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	// Strategy names the strategy, such as "rolling".
	Strategy string `json:"strategy,omitempty"`
	// Steps are what was done, in the order in which it began; at the end only.
	Steps []EntryStep `json:"steps,omitempty"`
}

// EntryStep is one part of an operation, with its times.
type EntryStep struct {
	Name      string    `json:"name"`                // such as "prepare", "switch" or "revert"
	Instances []string  `json:"instances,omitempty"` // the first ones, where there are many
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
	Error     string    `json:"error,omitempty"` // why it failed; "" when it did not
}

// Phases of an entry.
const (
	PhaseBegin = "begin"
	PhaseEnd   = "end"
)

// Outcome is how an operation ended.
type Outcome string

// The outcomes of an operation.
const (
	OutcomeSucceeded    Outcome = "succeeded"
	OutcomeReverted     Outcome = "reverted"
	OutcomeRevertFailed Outcome = "revert_failed"
	OutcomeFailed       Outcome = "failed"    // without a revert
	OutcomeCancelled    Outcome = "cancelled" // stopped where it was
)
