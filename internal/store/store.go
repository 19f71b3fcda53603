// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Store is where releases, their evidence and deployment events are kept. It
// is safe for concurrent use, by several processes too.
type Store interface {
	// Location is where it is, for messages. It holds no credentials.
	Location() string
	// Put keeps a release: its artifact, its evidence and, last of all, its
	// record under the version's tag. Where a release of the same inputs and
	// bytes exists, that one is returned and nothing is written. Another one
	// under this version is a [*ConflictError], a location that does not let
	// us write an [*AccessError].
	Put(ctx context.Context, record Record, artifact string, evidence Evidence) (Release, error)
	// Get reads a release. Without one the error is [ErrNotFound].
	Get(ctx context.Context, pipeline, version string) (Release, error)
	// Newest is the release of the highest version; of several that versions
	// do not order (other commits at one distance from a tag, directories) the
	// one made last. Without any the error is [ErrNotFound].
	Newest(ctx context.Context, pipeline string) (Release, error)
	// Versions lists the versions of all releases, highest first. A pipeline
	// that has none has an empty list.
	Versions(ctx context.Context, pipeline string) ([]string, error)
	// Artifact gives the path of a local, read-only file with the release's
	// artifact, its digest verified: the store's own file where it is a
	// directory, else a download in dir, which must exist.
	Artifact(ctx context.Context, release Release, dir string) (string, error)
	// Evidence reads when a release was made and what its checks said. The
	// files are listed, not fetched. Without any the error is [ErrNotFound].
	Evidence(ctx context.Context, release Release) (Evidence, error)
	// PutEvent keeps the event of one finished operation. An operation has one
	// event: keeping it again changes nothing and is no error.
	PutEvent(ctx context.Context, pipeline string, event Event) error
	// Events lists the events of a pipeline's deployments, newest first, from
	// one listing of tags.
	Events(ctx context.Context, pipeline string, filter EventFilter) ([]EventRef, error)
	// Event reads one listed event. What it returns is shared and not to be
	// changed.
	Event(ctx context.Context, pipeline string, ref EventRef) (Event, error)
	// Writable tells whether a Put could succeed, as far as can be seen
	// without writing anything; the error is an [*AccessError].
	Writable(ctx context.Context, pipeline string) error
	// Probe proves by writing that an event could be kept now; the error is an
	// [*AccessError]. A registry has one small manifest without a tag
	// afterwards, the same after every probe; a directory has nothing more than
	// an empty layout.
	Probe(ctx context.Context, pipeline string) error
}

// Release is a release in the store.
type Release struct {
	Record
	// Digest is that of the manifest. A tag can be overwritten by others: who
	// remembers a release remembers its digest too, and compares.
	Digest string
	// Reference names the release for standard tools, by digest:
	// "registry.acme.io/shop/api@sha256:…", or the layout's directory in place
	// of the repository.
	Reference string
}

// ID is "<pipeline>:<version>".
func (r Release) ID() string { return r.Pipeline + ":" + r.Version }

// Config says where a store is and how to get in.
type Config struct {
	Location    string // see [ParseLocation]
	Credentials []RegistryCredential
}

// RegistryCredential is a login to one registry. Registries without one use
// Docker's configuration and credential helpers.
type RegistryCredential struct {
	Host     string // with the port, if it has one
	Username string
	Password string
}

// Evidence is what one run of a pipeline proved about a release.
type Evidence struct {
	CreatedAt time.Time
	Checks    map[string]Check // by stage
	Files     []EvidenceFile
}

// Check is how a stage ended.
type Check struct {
	Status   string             `json:"status"`
	Tests    int                `json:"tests"`
	Failures int                `json:"failures"`
	Skipped  int                `json:"skipped"`
	Duration time.Duration      `json:"duration_ns"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
}

// Kinds of evidence files.
const (
	FileJUnit = "junit"
	FileLog   = "log"
)

// EvidenceFile is a test report or a log. Files over [MaxEvidenceFile] bytes
// are refused.
type EvidenceFile struct {
	Stage string
	Kind  string // FileJUnit or FileLog
	Name  string // as the stage names it, such as "report.xml"
	Path  string // of the local file to keep; empty when read from the store
	Size  int64  // bytes
}

// EventSchema is the version of the event's format. A reader refuses a higher
// one; members that an older reader may ignore are added without raising it.
const EventSchema = 1

// Event is the story of one finished operation of a deployment, as the target's
// ledger tells it. docs/design/ledger.md describes the format.
type Event struct {
	Schema int `json:"schema"` // set by PutEvent
	// Begin and End are the ledger's entries, without the owner's token, which
	// is of no use away from the target. Begin is nil where it was not found.
	Begin *deployer.Entry `json:"begin,omitempty"`
	End   deployer.Entry  `json:"end"`
	// Releases gives the release of each revision that the entries name, by the
	// revision's id, where it is known.
	Releases map[string]string `json:"releases,omitempty"`
}

// EventRef is what an event's tag says about it.
type EventRef struct {
	Environment string
	Deployment  string
	Ended       time.Time // whole seconds
	Outcome     string
	Operation   string // its id, possibly cut short
	Tag         string
}

// Names tells whether the event is that of an operation.
func (r EventRef) Names(operation string) bool {
	return r.Operation == operation || len(r.Tag) == maxTag && strings.HasPrefix(operation, r.Operation)
}

// EventFilter chooses events. Zero fields choose all.
type EventFilter struct {
	Environment string
	Deployment  string
	Since       time.Time
	Limit       int
}
