// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// historyOf puts the story of one operation into a store.
func historyOf(t *testing.T, location, deployment, operation string, outcome deployer.Outcome, ended time.Time) {
	t.Helper()
	begin := deployer.Entry{
		Schema: 1, Phase: deployer.PhaseBegin, Environment: "production", Deployment: deployment, Generation: 1, Time: ended.Add(-time.Minute),
		Operation: deployer.Operation{ID: operation, Kind: deployer.OperationUpdate, Actor: "ci@runner", Started: ended.Add(-2 * time.Minute)},
		To:        deployer.RevisionInfo{ID: "1.5.0-aa", ReleaseID: "shop:1.5.0", Version: "1.5.0", Commit: "4f1c"},
		From:      map[string]string{"app-1": "1.4.0-bb", "app-2": "", "app-3": "1.3.0-cc"}, Strategy: "rolling",
	}
	end := begin
	end.Phase, end.Generation, end.Time, end.From, end.Outcome = deployer.PhaseEnd, 2, ended, nil, outcome
	end.Runs = map[string]string{"app-1": "1.5.0-aa", "app-2": "1.5.0-aa"}
	if outcome != deployer.OutcomeSucceeded {
		end.Reason = "app-2 did not answer to s3cret-of-the-stages"
	}
	end.Steps = []deployer.EntryStep{{Name: "switch", Instances: []string{"app-1"}, Started: begin.Time, Ended: begin.Time.Add(1500 * time.Millisecond)}}
	opened, err := store.Open(store.Config{Location: location})
	if err != nil {
		t.Fatal(err)
	}
	err = opened.PutEvent(t.Context(), "shop", store.Event{
		Begin: &begin, End: end,
		Releases: map[string]string{"1.5.0-aa": "shop:1.5.0", "1.4.0-bb": "shop:1.4.0"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The history tells every operation, newest first, by what is asked for; known
// secrets are hidden, and what cannot be read hides nothing else.
func TestAccHistoryDataSource(t *testing.T) {
	t.Parallel()
	const address = "data.delivery_history.shop"
	location := filepath.Join(t.TempDir(), "store")
	now := time.Now().UTC().Truncate(time.Second)
	historyOf(t, location, "api", "op-old", deployer.OutcomeSucceeded, now.Add(-50*time.Hour))
	historyOf(t, location, "api", "op-bad", deployer.OutcomeReverted, now.Add(-2*time.Hour))
	historyOf(t, location, "worker", "op-new", deployer.OutcomeSucceeded, now.Add(-time.Hour))
	find := func(more string) string {
		return providerBlock(location, `secrets = { TOKEN = "s3cret-of-the-stages" }`) +
			fmt.Sprintf("data \"delivery_history\" \"shop\" {\n pipeline = \"shop\"\n %s\n}\n", more)
	}
	listed := func(operations ...string) statecheck.StateCheck {
		checks := []knownvalue.Check{}
		for _, id := range operations {
			checks = append(checks, knownvalue.ObjectPartial(map[string]knownvalue.Check{"operation": knownvalue.StringExact(id)}))
		}
		return statecheck.ExpectKnownValue(address, tfjsonpath.New("entries"), knownvalue.ListExact(checks))
	}
	text := knownvalue.StringExact
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{Config: find(""), ConfigStateChecks: []statecheck.StateCheck{listed("op-new", "op-bad", "op-old")}},
			{Config: find(`limit = 2`), ConfigStateChecks: []statecheck.StateCheck{listed("op-new", "op-bad")}},
			{Config: find(`since = "5h"`), ConfigStateChecks: []statecheck.StateCheck{listed("op-new", "op-bad")}},
			{Config: find(`since = "` + now.Add(-90*time.Minute).Format(time.RFC3339) + `"`), ConfigStateChecks: []statecheck.StateCheck{listed("op-new")}},
			{Config: find(`environment = "staging"`), ConfigStateChecks: []statecheck.StateCheck{listed()}},
			{
				Config: find("environment = \"production\"\n deployment = \"api\"\n limit = 1"),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(address, tfjsonpath.New("entries").AtSliceIndex(0), knownvalue.ObjectExact(map[string]knownvalue.Check{
						"operation": text("op-bad"), "kind": text("update"), "environment": text("production"), "deployment": text("api"),
						"actor": text("ci@runner"), "started": text(now.Add(-122 * time.Minute).Format(time.RFC3339)),
						"ended": text(now.Add(-2 * time.Hour).Format(time.RFC3339)), "outcome": text("reverted"),
						"reason": text("app-2 did not answer to " + Redacted), "strategy": text("rolling"),
						"release_id": text("shop:1.5.0"), "revision": text("1.5.0-aa"), "commit": text("4f1c"),
						"from_releases": knownvalue.ListExact([]knownvalue.Check{text("shop:1.4.0")}),
						"instances": knownvalue.MapExact(map[string]knownvalue.Check{
							"app-1": ranBefore(text("shop:1.4.0"), text("1.4.0-bb"), text("shop:1.5.0"), text("1.5.0-aa")),
							"app-2": ranBefore(knownvalue.Null(), knownvalue.Null(), text("shop:1.5.0"), text("1.5.0-aa")),
							"app-3": ranBefore(knownvalue.Null(), text("1.3.0-cc"), knownvalue.Null(), knownvalue.Null()),
						}),
						"steps": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectExact(map[string]knownvalue.Check{
							"name": text("switch"), "instances": knownvalue.ListExact([]knownvalue.Check{text("app-1")}), "error": knownvalue.Null(),
							"started": text(now.Add(-121 * time.Minute).Format("2006-01-02T15:04:05.000Z")),
							"ended":   text(now.Add(-121*time.Minute + 1500*time.Millisecond).Format("2006-01-02T15:04:05.000Z")),
						})}),
					})),
				},
			},
			{Config: find(`since = "yesterday"`), ExpectError: saying("since: Not a valid time", "720h")},
			{Config: find(`since = "-5h"`), ExpectError: saying("since: Not a valid time")},
			{Config: find(`limit = 0`), ExpectError: saying("limit")},
			{Config: find(`environment = "Prod"`), ExpectError: saying("environment: Not a valid name")},
			{
				PreConfig: func() { damageEvent(t, location, "op-bad") },
				Config:    find(""),
				ConfigStateChecks: []statecheck.StateCheck{
					listed("op-new", "op-bad", "op-old"),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("entries").AtSliceIndex(1), knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"outcome": text("reverted"), "ended": text(now.Add(-2 * time.Hour).Format(time.RFC3339)), "kind": knownvalue.Null(), "instances": knownvalue.Null(),
					})),
				},
			},
		},
	})
}

func ranBefore(fromRelease, fromRevision, release, revision knownvalue.Check) knownvalue.Check {
	return knownvalue.ObjectExact(map[string]knownvalue.Check{
		"from_release": fromRelease, "from_revision": fromRevision, "release": release, "revision": revision,
	})
}

// damageEvent makes what the store holds of an operation unreadable.
func damageEvent(t *testing.T, location, operation string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(location, "shop", "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range blobs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(`"begin"`)) || !bytes.Contains(data, []byte(operation)) {
			continue
		}
		if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("{}"), 0o600)); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("the store has no event of %s", operation)
}

// A registry that does not answer is an error at the pipeline.
func TestAccHistoryOfAnUnreachableStore(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{{
			Config:      providerBlock("127.0.0.1:1/apps", "") + "data \"delivery_history\" \"shop\" {\n pipeline = \"shop\"\n}\n",
			ExpectError: saying("pipeline: The history cannot be read from the store", "127.0.0.1:1", "connection refused"),
		}},
	})
}
