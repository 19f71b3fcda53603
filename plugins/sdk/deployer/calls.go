// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"encoding/json"
	"time"
)

// Description is a deployer's answer to Describe.
type Description struct {
	Name             string          // such as "ssh"
	Version          string          // of the program
	ConnectionSchema json.RawMessage // JSON Schema of the connection configuration; nil: none
	TargetSchema     json.RawMessage // JSON Schema of a target's configuration
	Capabilities     []Capability
	ArtifactKinds    []string // media types it can deploy
}

// Can says whether the deployer has a capability.
func (d Description) Can(c Capability) bool {
	for _, have := range d.Capabilities {
		if have == c {
			return true
		}
	}
	return false
}

// Capability names an optional part of the contract.
type Capability string

// Capabilities. All but the last three follow from the optional interfaces
// that a deployer implements.
const (
	CanValidate   Capability = "validate"
	CanPreview    Capability = "preview"
	CanLock       Capability = "lock"
	CanPrepare    Capability = "prepare"
	CanStage      Capability = "stage"
	CanCheck      Capability = "check"
	CanRetire     Capability = "retire"
	CanShift      Capability = "shift"
	CanRecord     Capability = "record"
	CanPrune      Capability = "prune"
	CanLogs       Capability = "logs"
	CanRun        Capability = "run"
	CanRunStage   Capability = "run_stage"
	Atomic        Capability = "atomic"         // Activate leaves old or new, never between
	SSHConnection Capability = "ssh_connection" // Configure also gets the provider's ssh block
	Paced         Capability = "paced"          // Activate rolls by itself at the pace it is given
)

// ConfigureRequest carries the connection configuration.
type ConfigureRequest struct {
	Connection json.RawMessage // by the connection schema; "{}" when the user wrote none
	SSH        json.RawMessage // the provider's ssh block, for deployers with SSHConnection
	// Directory is private (0700), of this process alone, and removed when it ends.
	Directory string
}

// ValidateRequest asks about a target's configuration.
type ValidateRequest struct {
	Target Target
	Pace   Pace
}

// Validation is what a configuration means.
type Validation struct {
	Diagnostics []Diagnostic
	Instances   []DesiredInstance // sorted by Order, then ID
	// InstancesUnknown: which instances there will be is not known yet.
	InstancesUnknown bool
}

// DesiredInstance is one instance that the configuration asks for.
type DesiredInstance struct {
	ID      string
	Scope   string
	Order   int
	Address string // as configured; "" with AddressUnknown
	// Place is all that says where the deployment lives on this instance (host,
	// port and path, say). An instance whose place changes is a removal and an
	// addition. "" with AddressUnknown.
	Place string
	// AddressUnknown: it exists, but where is known only at apply.
	AddressUnknown bool
}

// Diagnostic is a finding about configuration, at an attribute.
type Diagnostic struct {
	Warning bool
	// Path leads to the attribute in the target's configuration: member names,
	// and decimal indexes in lists.
	Path    []string
	Summary string
	Detail  string
}

// InspectRequest asks what runs.
type InspectRequest struct {
	Target Target
	// Previous is the target as it was last applied, for instances that are no
	// longer configured; nil when it is the same or unknown.
	Previous *Target
	Opaque   map[string][]byte // by instance id
	Timeout  time.Duration     // for each instance; 0: the deployer's default
}

// PreviewRequest asks what an update would meet.
type PreviewRequest struct {
	Target   Target
	Revision Revision // without secrets
	State    TargetState
}

// Preview is what an update would meet.
type Preview struct {
	Findings []Diagnostic
}

// AcquireRequest takes the lock.
type AcquireRequest struct {
	Target    Target
	Previous  *Target
	Operation Operation
	Owner     string
	Lease     time.Duration     // renewed by the engine at a third of it
	Opaque    map[string][]byte // by instance id, for a deployer that answers Lock.State
}

// Lock is a held lock.
type Lock struct {
	// Token fences: every mutating call carries it, and a call whose token is
	// no longer the newest changes nothing.
	Token string
	// Unreachable instances of the previous target were left out of the lock.
	Unreachable []string
	// State is what was seen right after the lock was taken, if the deployer
	// looked in the same breath; it saves the caller an Inspect. Nil: it did not.
	State *TargetState
}

// RenewRequest extends a lease.
type RenewRequest struct {
	Target   Target
	Previous *Target
	Token    string
	Lease    time.Duration
}

// ReleaseRequest gives a lock back.
type ReleaseRequest struct {
	Target   Target
	Previous *Target
	Token    string
}

// Mutation is common to the calls that change one instance.
type Mutation struct {
	Target    Target
	Instance  string
	Operation Operation
	Owner     string
	Token     string
	Opaque    []byte
}

// PrepareRequest carries a whole revision; later calls carry its id.
type PrepareRequest struct {
	Mutation
	Revision Revision
}

// StageRequest runs a prepared revision beside the current one.
type StageRequest struct {
	Mutation
	RevisionID string
}

// Pace bounds a platform that rolls by itself.
type Pace struct {
	MaxUnavailable int // parts; 0: the platform's default
	Surge          int
	MinReady       time.Duration
}

// ActivateRequest makes a revision serve.
type ActivateRequest struct {
	Mutation
	RevisionID string
	Pace       Pace
	// Revision is the whole revision, for a deployer without Prepare: what the
	// engine prepared in this process. It never crosses the wire, and is nil
	// for deployers with Prepare and for a revision that was not prepared.
	Revision *Revision
}

// RetireRequest drains and stops a revision.
type RetireRequest struct {
	Mutation
	RevisionID   string
	DrainTimeout time.Duration
}

// RemoveRequest takes the deployment off an instance. With Previous the
// instance is one of the previous target's, and Target is that one.
type RemoveRequest struct {
	Mutation
}

// ShiftRequest sets shares of traffic.
type ShiftRequest struct {
	Target    Target
	Scope     string
	Operation Operation
	Owner     string
	Token     string
	Shares    map[string]int // thousandths by revision id; they add up to 1000
}

// Result says what an instance runs after a mutating call, as the call saw it.
// After any failure only Inspect is believed.
type Result struct {
	Runs    string // revision id; "" is nothing
	Changed bool
	Detail  string
	Opaque  []byte
}

// Probe is one health check. At most one field is set; with none, the platform's
// own view decides (the process is up).
type Probe struct {
	HTTP    *HTTPProbe
	TCP     *TCPProbe
	GRPC    *GRPCProbe
	Command *CommandProbe
}

// HTTPProbe asks the instance as it sees itself. Redirects are not followed.
type HTTPProbe struct {
	Scheme   string // "http" (default) or "https"
	Host     string // default 127.0.0.1
	Port     int
	Method   string // default GET
	Path     string
	Headers  map[string]string
	Statuses []StatusRange // that pass; none: 200 to 399
	// BodyMatches is a regular expression (RE2) that the first 64 KiB of the body
	// must match; "": any body.
	BodyMatches string
	TLS         *ProbeTLS // for https; nil: the certificate is not verified
}

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct{ From, To int }

// ProbeTLS verifies the certificate that a probe meets.
type ProbeTLS struct {
	ServerName string // that the certificate must be for
	CA         string // PEM; "": the roots of the machine that probes
}

// TCPProbe opens a connection.
type TCPProbe struct {
	Host string // default 127.0.0.1
	Port int
}

// GRPCProbe asks grpc.health.v1.Health/Check; SERVING passes.
type GRPCProbe struct {
	Host    string // default 127.0.0.1
	Port    int
	Service string    // "": the server as a whole
	Secure  bool      // over TLS
	TLS     *ProbeTLS // with Secure; nil: the certificate is not verified
}

// CommandProbe runs a shell command in the revision's context; status 0 passes.
type CommandProbe struct {
	Command string
}

// CheckRequest asks for a judgement.
type CheckRequest struct {
	Target     Target
	Instance   string
	RevisionID string
	Probe      Probe
	Timeout    time.Duration // of one probe
	// Wait allows the call to take this long when that saves polling; 0 asks
	// for an answer now.
	Wait   time.Duration
	Opaque []byte
}

// CheckStatus is a judgement.
type CheckStatus string

// The judgements.
const (
	CheckPass CheckStatus = "pass"
	CheckWait CheckStatus = "wait" // not yet
	CheckFail CheckStatus = "fail" // answers, and badly
	CheckDead CheckStatus = "dead" // will not recover by itself: exited, crash loop, failed pull
)

// CheckResult is a judgement with its reason.
type CheckResult struct {
	Status CheckStatus
	Reason string
	Log    []string // last lines, for anything but pass
}

// RecordRequest appends to the ledger.
type RecordRequest struct {
	Target   Target
	Previous *Target
	Token    string
	Entry    Entry
}

// HistoryRequest reads the ledger.
type HistoryRequest struct {
	Target Target
	Since  time.Time
	Limit  int // 0: all
}

// PruneRequest applies retention.
type PruneRequest struct {
	Target Target
	Owner  string
	Token  string
	Keep   int // revisions besides the serving and the last good one count too
	// Everything removes all that is not serving, also the ledger when nothing
	// serves: the end of a failed first deployment.
	Everything bool
}

// PruneResult says what went.
type PruneResult struct {
	Removed map[string][]string // revision ids by instance
}

// LogsRequest asks for log lines.
type LogsRequest struct {
	Target   Target
	Instance string
	Lines    int // from the end
	Follow   bool
}

// RunRequest runs a one-off command.
type RunRequest struct {
	Mutation
	RevisionID string
	Command    []string
	Timeout    time.Duration
	// Environment is added to the revision's own.
	Environment map[string]string
}

// RunStageRequest runs one pipeline stage.
type RunStageRequest struct {
	Config      json.RawMessage // the runner block
	Workspace   string          // a local directory, in and out
	Commands    []string
	Environment map[string]string
	Secrets     map[string]string
	Timeout     time.Duration
}

// RunResult is how a command ended.
type RunResult struct {
	ExitCode int
	Log      []string // last lines
}
