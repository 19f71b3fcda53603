// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"context"
	"io"
	"time"
)

// Runner runs the commands of one attempt of a stage.
type Runner interface {
	// RunStage runs the commands one after the other, in the workspace, until
	// one fails. Their output goes to output. The error is nil when a command
	// ran and failed; it says so when the stage could not be run, ran out of
	// time (the context's error) or was cancelled.
	RunStage(ctx context.Context, run StageRun, output io.Writer) (Exit, error)
}

// StageRun is one attempt of a stage.
type StageRun struct {
	Pipeline, Stage string
	Workspace       string // clean checkout with the artifacts of needed stages; what the stage writes stays in it
	Commands        []string
	Environment     map[string]string // everything but the secrets
	Secrets         map[string]string // by the name of their variable
	Timeout         time.Duration     // already applied to the context
}

// Exit is how a stage's commands ended.
type Exit struct {
	Code    int    // 0: every command succeeded
	Command string // the one that failed; "" when the runner cannot tell
}

// Options say with what a pipeline runs.
type Options struct {
	// Checkout fills an empty directory with the source's files. It is called
	// once for each attempt of a stage and once for the overlay, at the same
	// time from several goroutines.
	Checkout func(ctx context.Context, dir string) error
	// Dir is a private, empty directory to work in. The results are in it; its
	// owner removes it.
	Dir string
	// Secrets are the values by name; stages get those they ask for.
	Secrets map[string]string
	// Runner chooses who runs a stage; nil: all run here.
	Runner func(Stage) Runner

	Commit  string // told to stages as DELIVERY_COMMIT; may be empty
	Version string // told to stages as DELIVERY_VERSION; may be empty

	Parallel    int   // stages at the same time; 0: as many as there are CPUs
	OutputLimit int64 // bytes kept of a stage's output, half from its start and half from its end; 0: 4 MiB

	// Sleep waits between attempts; nil: real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Result is what a run gave.
type Result struct {
	Checks  map[string]Check // by stage
	Overlay string           // directory: a clean checkout and the stages' artifacts; "" after a failure
	Reports []Report         // of every stage that ran, sorted by stage, kind and name
}

// Status is what became of a stage.
type Status string

// The states of a stage.
const (
	Passed         Status = "passed"
	Failed         Status = "failed"
	Skipped        Status = "skipped"         // a stage it needs did not pass
	AllowedFailure Status = "allowed_failure" // failed, and may
)

// Check is how a stage ended.
type Check struct {
	Status   Status
	Tests    int // all tests in its reports, with failed and skipped ones
	Failures int // failed tests and tests with errors
	Skipped  int // skipped tests
	Attempts int
	Duration time.Duration // all attempts
	Metrics  map[string]float64
}

// Report is a file that a stage left.
type Report struct {
	Stage string
	Kind  string // ReportJUnit or ReportOutput
	Name  string // path in the stage's workspace; "output.log" for its output
	Path  string // where it is now; known secrets are redacted in it
}

// Kinds of reports.
const (
	ReportJUnit  = "junit"
	ReportOutput = "output"
)

// Run runs the stages: independent ones at the same time, each attempt in a
// clean checkout of its own. The Result is filled in either way. The error is
// a *StageError for each stage that failed and may not (joined when there are
// several), or says why the pipeline could not be run at all.
func Run(ctx context.Context, d Definition, options Options) (Result, error) {
	return run(ctx, d, options)
}
