// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// A runner that may only pull leaves the story in the ledger, and a later one
// with rights sends what is missing, once.
func TestWhatWasNotSentIsSentLater(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.mustDeploy("1.0.0")
	for _, version := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		w.release(version)
	}
	registry.SetPullOnly(true)
	for _, version := range []string{"1.1.0", "1.2.0"} {
		applied, err := w.deploy(version)
		if err != nil || len(applied.Warnings) != 1 {
			t.Fatalf("%v, %q", err, applied.Warnings)
		}
		for _, part := range []string{registry.Host, "403", "The ledger on the target has it", `evidence = "off"`} {
			if !strings.Contains(applied.Warnings[0], part) {
				t.Errorf("the warning does not say %q: %s", part, applied.Warnings[0])
			}
		}
	}
	w.told("create shop:1.0.0 succeeded")
	registry.SetPullOnly(false)
	if applied, err := w.deploy("1.3.0"); err != nil || len(applied.Warnings) > 0 {
		t.Fatalf("%v, %q", err, applied.Warnings)
	}
	all := []string{"create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded", "update shop:1.2.0 succeeded", "update shop:1.3.0 succeeded"}
	for _, e := range w.told(all...) {
		if e.Begin == nil || len(e.End.Runs) != 2 || len(e.Releases) == 0 {
			t.Errorf("sent later, it tells less: %+v", e)
		}
	}
	if n := len(w.fleet.Methods("History")); n != 2 { // once for the second failure, once to send
		t.Errorf("the ledger was read %d times", n)
	}
	w.mustDeploy("1.4.0")
	w.told(append(all, "update shop:1.4.0 succeeded")...)
	if n := len(w.fleet.Methods("History")); n != 2 {
		t.Errorf("with all sent, the ledger was read again")
	}
}

// A store that was lost, or is another one now, gets what the ledger knows.
func TestAnotherStoreGetsTheHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.mustDeploy("1.0.0")
	w.mustDeploy("1.1.0")
	w.location = t.TempDir()
	w.mustDeploy("1.2.0")
	w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded", "update shop:1.2.0 succeeded")
	w.location = t.TempDir()
	w.private.Sent = nil // a lost state
	w.mustDeploy("1.3.0")
	w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded", "update shop:1.2.0 succeeded", "update shop:1.3.0 succeeded")
}

// What could not be sent is sent by an apply that has nothing else to do, which
// asks the target only when the store takes it.
func TestEvidenceIsSentWhenNothingElseIsToDo(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.mustDeploy("1.0.0")
	w.release("1.1.0")
	registry.SetPullOnly(true)
	if _, err := w.deploy("1.1.0"); err != nil || !w.private.Unsent {
		t.Fatalf("%v, %+v", err, w.private)
	}
	before := len(w.fleet.Calls())
	late := func(mode EvidenceMode) (Applied, error) {
		w.spec.Evidence = mode
		return w.service().SendEvidence(t.Context(), ApplyRequest{Spec: w.spec, Known: w.known, Private: w.private, Redact: redact})
	}
	for _, mode := range []EvidenceMode{EvidenceBestEffort, EvidenceOff, ""} {
		if applied, err := late(mode); err != nil || len(applied.Warnings) > 0 || !applied.Private.Unsent {
			t.Errorf("%q: %v, %+v", mode, err, applied)
		}
	}
	var evidence *EvidenceError
	if applied, err := late(EvidenceRequired); !errors.As(err, &evidence) || !applied.Private.Unsent {
		t.Errorf("required: %v, %+v", err, applied)
	}
	if calls := w.fleet.Calls()[before:]; len(calls) > 0 {
		t.Errorf("the target was asked: %v", calls)
	}
	registry.SetPullOnly(false)
	applied, err := late(EvidenceRequired)
	if err != nil || applied.Private.Unsent || applied.Private.Sent.Generation != w.private.Generation {
		t.Errorf("%v, %+v", err, applied.Private)
	}
	w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded")
	w.private = applied.Private
	before = len(w.fleet.Calls())
	if _, err := late(EvidenceRequired); err != nil || len(w.fleet.Calls()) != before {
		t.Errorf("sent again: %v", err)
	}
}

// What a ledger holds is judged: foreign and impossible entries and what may
// still be running are no events, and an operation has one.
func TestEventsOfALedger(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	entry := func(operation, phase string, generation int64) deployer.Entry {
		e := deployer.Entry{
			Schema: 1, Phase: phase, Operation: deployer.Operation{ID: operation, Kind: "update", Started: at},
			Environment: "production", Deployment: "api", Generation: generation, Time: at.Add(time.Duration(generation) * time.Minute),
			To: deployer.RevisionInfo{ID: "1.0.0-a", ReleaseID: "shop:1.0.0", Config: json.RawMessage(`{"user":"` + theSecret + `","n":12345678901234567890}`)},
		}
		if phase == deployer.PhaseEnd {
			e.Outcome, e.Reason = deployer.OutcomeSucceeded, "because of "+theSecret
		}
		return e
	}
	foreign, odd := entry("foreign", deployer.PhaseEnd, 9), entry("odd", deployer.PhaseEnd, 10)
	foreign.Environment, odd.Outcome = "staging", "so so"
	w := newWorld(t, "")
	e := w.service().evidenceOf(nil, "", w.spec.Target, deployer.OperationUpdate, "shop:1.0.0", State{}, redact)
	events := e.events([]deployer.Entry{
		entry("cut", deployer.PhaseEnd, 2), entry("one", deployer.PhaseBegin, 3), entry("one", deployer.PhaseEnd, 4),
		entry("one", deployer.PhaseEnd, 5), entry("killed", deployer.PhaseBegin, 6), foreign, odd, entry("running", deployer.PhaseBegin, 11),
	})
	if len(events) != 3 || events[0].End.Operation.ID != "cut" || events[0].Begin != nil || events[1].Begin == nil || events[1].End.Generation != 5 {
		t.Fatalf("%+v", events)
	}
	killed := events[2]
	if killed.End.Operation.ID != "killed" || killed.End.Outcome != outcomeInterrupted || killed.End.Reason == "" || !killed.End.Time.Equal(odd.Time) || killed.Begin == nil {
		t.Errorf("a killed operation: %+v", killed)
	}
	holdsNoSecret(t, "an event", events)
	if config := string(events[1].End.To.Config); config != `{"n":12345678901234567890,"user":"(sensitive value)"}` {
		t.Errorf("the configuration became %s", config)
	}
}
