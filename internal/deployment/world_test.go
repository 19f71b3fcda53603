// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// theSecret is what no evidence may hold.
const theSecret = "hunter2-of-the-shop"

// world is one deployment to a fleet in memory, with a real store, and what
// Terraform remembers of it between operations. Releases whose version begins
// with 6 die with the secret on their lips.
type world struct {
	t        *testing.T
	fleet    *rollouttest.Fleet
	location string
	spec     Spec
	known    State
	private  Private
}

// fleetConfig is the target configuration of a rollouttest.Fleet.
type fleetConfig struct {
	Hosts map[string]string `json:"hosts" delivery:"target" doc:"Places by instance."`
}

type describedFleet struct{ *rollouttest.Fleet }

func (f describedFleet) Describe(context.Context) (deployer.Description, error) {
	d := f.Description()
	d.TargetSchema = sdk.SchemaOf[fleetConfig]()
	return d, nil
}

func (w *world) Deployer(context.Context, string) (deployer.Deployer, error) {
	return describedFleet{w.fleet}, nil
}

func newWorld(t *testing.T, location string) *world {
	t.Helper()
	target := rollouttest.Target("app-1", "app-2")
	w := &world{t: t, location: location, fleet: &rollouttest.Fleet{}}
	w.fleet.Health = func(_, revision string, _ int) deployer.CheckResult {
		if strings.HasPrefix(revision, "6.") {
			return deployer.CheckResult{Status: deployer.CheckDead, Reason: "exited: cannot log in with " + theSecret, Log: []string{"password " + theSecret}}
		}
		return deployer.CheckResult{Status: deployer.CheckPass}
	}
	w.spec = Spec{
		Target:   Target{Environment: target.Environment, Name: target.Deployment, Deployer: "fleet", Config: target.Config},
		Secrets:  map[string]string{"PASSWORD": theSecret},
		Strategy: rollout.Rolling{MaxParallel: rollout.Count(1)},
		Revert:   rollout.Revert{Automatic: true},
	}
	return w
}

func (w *world) store() store.Store {
	w.t.Helper()
	opened, err := store.Open(store.Config{Location: w.location})
	if err != nil {
		w.t.Fatal(err)
	}
	return opened
}

func (w *world) service() *Service {
	return &Service{Deployers: w, Store: func(context.Context) (store.Store, error) { return w.store(), nil }}
}

// release makes a release of shop.
func (w *world) release(version string) {
	w.t.Helper()
	artifact := filepath.Join(w.t.TempDir(), "artifact")
	if err := os.WriteFile(artifact, []byte(version), 0o600); err != nil {
		w.t.Fatal(err)
	}
	_, err := w.store().Put(w.t.Context(), store.Record{
		Pipeline: "shop", Version: version, Commit: strings.Repeat("a", 40), Definition: digestOf("definition"),
		Artifact: store.Artifact{MediaType: deployer.MediaTypeArchive, Digest: digestOf(version), Size: int64(len(version))},
	}, artifact, store.Evidence{CreatedAt: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
}

// deploy applies a release, as the provider does.
func (w *world) deploy(version string) (Applied, error) {
	w.t.Helper()
	w.spec.ReleaseID = "shop:" + version
	kind := deployer.OperationUpdate
	if len(w.known.Instances) == 0 {
		kind = deployer.OperationCreate
	}
	applied, err := w.service().Apply(w.t.Context(), ApplyRequest{Spec: w.spec, Known: w.known, Private: w.private, Kind: kind, Redact: redact})
	if !applied.Nothing {
		w.known, w.private = applied.State, applied.Private
	}
	return applied, err
}

// mustDeploy makes a release and applies it, without a warning.
func (w *world) mustDeploy(version string) {
	w.t.Helper()
	w.release(version)
	if applied, err := w.deploy(version); err != nil || len(applied.Warnings) > 0 {
		w.t.Fatalf("%s: %v, %v", version, err, applied.Warnings)
	}
}

func (w *world) destroy() (Applied, error) {
	w.t.Helper()
	applied, err := w.service().Destroy(w.t.Context(), DestroyRequest{
		Target: w.spec.Target, Known: w.known, Private: w.private, Evidence: w.spec.Evidence, Redact: redact,
	})
	return applied, err
}

func redact(s string) string { return strings.ReplaceAll(s, theSecret, "(sensitive value)") }

// events are what the store holds, oldest first.
func (w *world) events() []store.Event {
	w.t.Helper()
	opened := w.store()
	refs, err := opened.Events(w.t.Context(), "shop", store.EventFilter{Environment: "production", Deployment: "api"})
	if err != nil {
		w.t.Fatal(err)
	}
	events := []store.Event{}
	for _, ref := range refs {
		event, err := opened.Event(w.t.Context(), "shop", ref)
		if err != nil {
			w.t.Fatal(err)
		}
		events = append(events, event)
	}
	slices.SortStableFunc(events, func(a, b store.Event) int { return a.End.Time.Compare(b.End.Time) })
	return events
}

// told fails the test unless the store tells of these operations, each as
// "kind release outcome".
func (w *world) told(want ...string) []store.Event {
	w.t.Helper()
	events, got := w.events(), []string{}
	for _, e := range events {
		got = append(got, strings.Join([]string{e.End.Operation.Kind, e.End.To.ReleaseID, string(e.End.Outcome)}, " "))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the store tells of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return events
}
