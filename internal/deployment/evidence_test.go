// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// locations are the kinds of store.
func locations(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"directory": t.TempDir(), "registry": testrig.NewRegistry(t).Host + "/acme"}
}

// Every operation leaves its story, and the ledger is read for none of them.
func TestEvidenceTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	for name, location := range locations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, location)
			w.mustDeploy("1.0.0")
			w.mustDeploy("1.1.0")
			w.release("6.0.0")
			if _, err := w.deploy("6.0.0"); err == nil {
				t.Fatal("a release that dies was deployed")
			}
			events := w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded", "update shop:6.0.0 reverted")
			if t.Failed() {
				return
			}
			failed := events[2]
			before := w.known.Instances["app-1"].Revision
			if failed.Begin == nil || failed.Begin.From["app-1"] != before || failed.End.Runs["app-1"] != before ||
				failed.Releases[before] != "shop:1.1.0" || failed.Releases[failed.End.To.ID] != "shop:6.0.0" {
				t.Errorf("from %+v to %v, releases %v", failed.Begin, failed.End.Runs, failed.Releases)
			}
			if failed.End.Reason == "" || failed.End.Strategy != "rolling" || len(failed.End.Steps) == 0 || failed.End.Operation.Actor == "" {
				t.Errorf("the story is thin: %+v", failed.End)
			}
			for _, step := range failed.End.Steps {
				if step.Name == "" || step.Ended.Before(step.Started) || step.Started.IsZero() {
					t.Errorf("step %+v", step)
				}
			}
			holdsNoSecret(t, "the evidence", events)
			holdsNoSecret(t, "the ledger", w.fleet.Ledger("app-1"))
			if calls := w.fleet.Methods("History"); len(calls) > 0 {
				t.Errorf("the ledger was read %d times", len(calls))
			}
			if w.private.Sent == nil || w.private.Sent.Generation != w.private.Generation || w.private.Sent.Operation != failed.End.Operation.ID {
				t.Errorf("noted as sent: %+v, generation %d", w.private.Sent, w.private.Generation)
			}
		})
	}
}

func holdsNoSecret(t *testing.T, what string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), theSecret) {
		t.Errorf("%s holds the secret: %s", what, text)
	}
}

// Required evidence that cannot be sent is found out before the target hears
// of anything.
func TestRequiredEvidenceIsProvenFirst(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.mustDeploy("1.0.0")
	w.release("1.1.0")
	w.spec.Evidence = EvidenceRequired
	registry.SetPullOnly(true)
	before, runs := len(w.fleet.Calls()), w.fleet.Runs()
	refusals := map[string]func() (Applied, error){
		"apply":   func() (Applied, error) { return w.deploy("1.1.0") },
		"destroy": w.destroy,
	}
	for name, do := range refusals {
		applied, err := do()
		var evidence *EvidenceError
		var access *store.AccessError
		if !errors.As(err, &evidence) || !errors.As(err, &access) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, part := range []string{"nothing was changed", registry.Host, "403", "right to push to", "best_effort"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s does not say %q: %v", name, part, err)
			}
		}
		if applied.State.RunningReleaseID != "shop:1.0.0" {
			t.Errorf("%s: the state says %+v", name, applied.State)
		}
	}
	if calls := w.fleet.Calls()[before:]; len(calls) > 0 || !maps.Equal(runs, w.fleet.Runs()) {
		t.Errorf("the target was called: %v", calls)
	}
	registry.SetPullOnly(false)
	w.mustDeploy("1.1.0")
	w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded")
}

// Required evidence that could not be sent in the end is an error of an
// operation that was done; the next one sends it, and is an error until it can.
func TestRequiredEvidenceIsAnErrorAfterwards(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.spec.Evidence = EvidenceRequired
	w.mustDeploy("1.0.0")
	w.release("1.1.0")
	w.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
		if c.Method == "Activate" {
			registry.SetPullOnly(true)
		}
		return rollouttest.Fault{}
	}
	applied, err := w.deploy("1.1.0")
	var evidence *EvidenceError
	if !errors.As(err, &evidence) || !strings.Contains(err.Error(), "what was asked for was done") || !strings.Contains(err.Error(), "403") {
		t.Fatalf("%v", err)
	}
	if applied.State.RunningReleaseID != "shop:1.1.0" || applied.State.Instances["app-2"].Release != "shop:1.1.0" {
		t.Errorf("the state says %+v", applied.State)
	}
	w.told("create shop:1.0.0 succeeded")
	registry.SetPullOnly(false)
	w.fleet.Script = nil
	if _, err := w.deploy("1.1.0"); err != nil { // nothing is left to do but this
		t.Fatal(err)
	}
	w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded")
}

// A create whose evidence could not be sent says how to keep Terraform from
// replacing it.
func TestARequiredCreateSaysWhatToDo(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.spec.Evidence = EvidenceRequired
	w.release("1.0.0")
	w.fleet.Changed = func(string, string) { registry.SetPullOnly(true) }
	applied, err := w.deploy("1.0.0")
	if err == nil || !strings.Contains(err.Error(), "terraform untaint") || applied.Nothing {
		t.Errorf("%v, %+v", err, applied)
	}
}

// Without evidence the store is not written to, and not asked.
func TestEvidenceCanBeOff(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.spec.Evidence = EvidenceOff
	w.release("1.0.0")
	before := len(registry.Requests())
	if applied, err := w.deploy("1.0.0"); err != nil || len(applied.Warnings) > 0 {
		t.Fatalf("%v, %q", err, applied.Warnings)
	}
	if _, err := w.destroy(); err != nil {
		t.Fatal(err)
	}
	for _, request := range registry.Requests()[before:] {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") || strings.Contains(request, "/tags/") {
			t.Errorf("the store was asked %s", request)
		}
	}
	w.told()
}

// A removal takes the ledger with it: what was not sent is sent before, and its
// own story comes from what was done.
func TestARemovalLeavesItsStory(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.mustDeploy("1.0.0")
	w.release("1.1.0")
	registry.SetPullOnly(true)
	if _, err := w.deploy("1.1.0"); err != nil {
		t.Fatal(err)
	}
	registry.SetPullOnly(false)
	applied, err := w.destroy()
	if err != nil || len(applied.Warnings) > 0 || !w.fleet.Empty() {
		t.Fatalf("%v, %q", err, applied.Warnings)
	}
	events := w.told("create shop:1.0.0 succeeded", "update shop:1.1.0 succeeded", "remove  succeeded")
	removal := events[len(events)-1]
	if removal.Begin == nil || removal.Releases[removal.Begin.From["app-1"]] != "shop:1.1.0" || removal.End.Runs["app-1"] != "" {
		t.Errorf("the removal's story: %+v", removal)
	}
}

// What cannot be sent and is in no ledger is said to be lost.
func TestWhatNoLedgerKeepsIsLost(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	w := newWorld(t, registry.Host)
	w.release("6.0.0")
	if _, err := w.deploy("6.0.0"); err == nil || !w.fleet.Empty() {
		t.Fatalf("a first deployment that dies was left: %v", err)
	}
	w.told("create shop:6.0.0 reverted")
	registry.SetPullOnly(true)
	applied, err := w.deploy("6.0.0")
	if err == nil || len(applied.Warnings) != 1 || !strings.Contains(applied.Warnings[0], "it is lost") {
		t.Errorf("%v, %q", err, applied.Warnings)
	}
	registry.SetPullOnly(false)
	w.mustDeploy("1.0.0")
	registry.SetPullOnly(true)
	applied, err = w.destroy()
	if err != nil || len(applied.Warnings) == 0 || !strings.Contains(strings.Join(applied.Warnings, "\n"), "it is lost") {
		t.Errorf("%v, %q", err, applied.Warnings)
	}
}

// A deployer without a ledger leaves evidence all the same.
func TestEvidenceWithoutALedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.fleet.Without = []deployer.Capability{deployer.CanRecord}
	w.release("1.0.0")
	if _, err := w.deploy("1.0.0"); err != nil {
		t.Fatal(err)
	}
	if events := w.told("create shop:1.0.0 succeeded"); len(events) == 1 && len(events[0].End.Runs) != 2 {
		t.Errorf("%+v", events[0])
	}
}

// A store that cannot be opened or read is a warning, or an error where it is
// required.
func TestABrokenStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.mustDeploy("1.0.0")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.release("1.1.0")
	w.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
		if c.Method == "Activate" {
			w.location = file
		}
		return rollouttest.Fault{}
	}
	applied, err := w.deploy("1.1.0")
	if err != nil || len(applied.Warnings) != 1 || !strings.Contains(applied.Warnings[0], file) {
		t.Errorf("%v, %q", err, applied.Warnings)
	}
	w.spec.Evidence = EvidenceRequired
	if _, err := w.deploy("1.1.0"); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("%v", err)
	}
}

// An operation that was refused, or had nothing to do, is no event.
func TestNothingDoneIsNoEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.mustDeploy("1.0.0")
	if _, err := w.deploy("1.0.0"); err != nil {
		t.Fatal(err)
	}
	w.fleet.Edit("app-1", func(p *rollouttest.Place) { p.Unreachable = "no route to host" })
	w.release("1.1.0")
	var refused *rollout.Error
	if _, err := w.deploy("1.1.0"); !errors.As(err, &refused) {
		t.Fatalf("%v", err)
	}
	w.told("create shop:1.0.0 succeeded")
}
