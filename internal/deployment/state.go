// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"encoding/json"
	"time"
)

// State is what a deployment's computed attributes say.
type State struct {
	Instances         map[string]Instance
	RunningReleaseID  string // "" when instances differ
	PreviousReleaseID string
	Details           map[string]Detail
	Commits           []Commit
	DeployedAt        time.Time
}

// Instance is one member of the attribute instances.
type Instance struct {
	Release  string // "" when nothing runs
	Revision string
	Health   string
	Address  string
}

// What Instance.Health can say besides the deployer.Health values.
const (
	HealthHealthy     = "healthy"
	HealthDrifted     = "drifted"     // runs, but something beside it was changed; the warning says what
	HealthMissing     = "missing"     // nothing of this deployment is there
	HealthUnreachable = "unreachable" // only in Detail: state keeps what was last known
)

// Detail is one member of the attribute details: what was observed.
type Detail struct {
	Digest         string // of the artifact
	Address        string // where it answers, when the platform assigned it
	Since          string // RFC 3339; "" when unknown
	ObservedHealth string
}

// Private is what a deployment remembers beside its attributes: Terraform
// keeps it in the state, out of plans.
type Private struct {
	Schema int `json:"schema"`
	// Owner is the token that marks the target as this resource's.
	Owner string `json:"owner,omitempty"`
	// Generation is the highest one seen in a ledger of the target.
	Generation int64 `json:"generation,omitempty"`
	// Tombstones are removed instances that could not be reached.
	Tombstones []Tombstone `json:"tombstones,omitempty"`
	// Notes are what the last look found, instance by instance, in words.
	Notes []Note `json:"notes,omitempty"`
	// Failed says that a revision was tried here and did not hold.
	Failed []FailedNote `json:"failed,omitempty"`
	// LastGood is the id of the revision that the last good rollout brought,
	// and Unfinished says that the last one has not ended: they decide whether
	// an instance that runs the right revision may be left alone.
	LastGood   string `json:"last_good,omitempty"`
	Unfinished bool   `json:"unfinished,omitempty"`
	// Revisions describes, by id, those that instances run.
	Revisions map[string]RevisionNote `json:"revisions,omitempty"`
	// Places is where instances were when they were last seen.
	Places map[string]string `json:"places,omitempty"`
	// Sent says how far the store has what the ledger tells, and Unsent that
	// something could not be sent since.
	Sent   *Sent `json:"sent,omitempty"`
	Unsent bool  `json:"unsent,omitempty"`
	// Recipe makes the running release again if the store has lost it.
	Recipe json.RawMessage `json:"recipe,omitempty"`
	// Opaque is what deployers want back, by instance.
	Opaque map[string][]byte `json:"opaque,omitempty"`
}

// PrivateSchema is the version of Private's format.
const PrivateSchema = 1

// Tombstone is a removed instance that may still run what it ran.
type Tombstone struct {
	Target   Target `json:"target"` // as it was when the instance was configured
	Instance string `json:"instance"`
	Place    string `json:"place"`
}

// Note is one observation about an instance that a reader of the plan should know.
type Note struct {
	Instance    string `json:"instance,omitempty"`
	Unreachable bool   `json:"unreachable,omitempty"`
	Text        string `json:"text"`
}

// FailedNote is a revision that failed here before.
type FailedNote struct {
	Revision string    `json:"revision"`
	Release  string    `json:"release"`
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
}
