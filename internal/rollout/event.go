// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Event is one sign of what the engine does. There is one before and one after
// every call of the deployer, so whoever lists them lists all points at which
// a run can be cut off.
type Event struct {
	Time     time.Time
	Kind     EventKind
	Step     Step
	Instance string // "" when it concerns the whole target
	// Phase is PhaseBefore or PhaseAfter of a call.
	Phase string
	// Err is how a call ended, in PhaseAfter.
	Err error
	// Message is for people, in EventNote.
	Message string
	// Progress is what the deployer said, in EventProgress.
	Progress deployer.Event
}

// EventKind tells the kinds of event apart.
type EventKind string

// The kinds of event.
const (
	EventCall     EventKind = "call"     // before or after a call of the deployer
	EventProgress EventKind = "progress" // the deployer says something during a call
	EventNote     EventKind = "note"     // the engine decided something
)

// The phases of a call.
const (
	PhaseBefore = "before"
	PhaseAfter  = "after"
)

// Step names what is being done; failures carry it too.
type Step string

// The steps. StepArtifact, StepAnalysis, StepPause and StepAdmit are the engine's
// own; the others are calls of the deployer.
const (
	StepAcquire  Step = "lock"
	StepRenew    Step = "renew lock"
	StepRelease  Step = "unlock"
	StepInspect  Step = "inspect"
	StepAdmit    Step = "admit"
	StepArtifact Step = "artifact"
	StepRecord   Step = "record"
	StepHistory  Step = "history"
	StepPrepare  Step = "prepare"
	StepBefore   Step = "tasks.before"
	StepStage    Step = "stage"
	StepDrain    Step = "drain"
	StepShift    Step = "shift traffic"
	StepActivate Step = "activate"
	StepCheck    Step = "health check"
	StepUndrain  Step = "undrain"
	StepPause    Step = "pause"
	StepAnalysis Step = "analysis"
	StepAfter    Step = "tasks.after"
	StepRetire   Step = "retire"
	StepRemove   Step = "remove"
	StepPrune    Step = "prune"
)
