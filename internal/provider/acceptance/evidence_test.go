// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// historyConfiguration is that of somebody who only wants to know.
const historyConfiguration = `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

provider "delivery" {
  store = %q
}

data "delivery_history" "api" {
  pipeline    = "shop"
  environment = "production"
  deployment  = "api"
  since       = "1h"
}

resource "terraform_data" "seen" {
  input = data.delivery_history.api.entries
}
`

// history reads what a store tells of the deployment, newest first, from
// another configuration.
func history(t *testing.T, tf *testrig.Terraform, store string) []map[string]any {
	t.Helper()
	other := tf.Sibling()
	other.Write("main.tf", fmt.Sprintf(historyConfiguration, store))
	other.Apply()
	listed, _ := other.Resource("terraform_data.seen")["input"].([]any)
	entries := []map[string]any{}
	for _, entry := range listed {
		entries = append(entries, entry.(map[string]any))
	}
	return entries
}

// outcomes fails the test unless the history has these, newest first, each as
// "kind outcome".
func outcomes(t *testing.T, entries []map[string]any, want ...string) {
	t.Helper()
	got := []string{}
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%v %v", e["kind"], e["outcome"]))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the history tells %q, not %q", got, want)
	}
}

// Every operation, a failed one too, leaves its story with the release: who,
// what, from, to, each step with its times, outcome and reason, and no secret.
func TestEvidenceOfEveryOperation(t *testing.T) {
	t.Parallel()
	const token = "t0ken-that-nobody-may-see"
	s := newShop(t, 2)
	store := filepath.Join(t.TempDir(), "store")
	s.Provider = fmt.Sprintf("store = %q", store)
	s.Deployment = "secrets_wo = { TOKEN = \"" + token + "\" }\n  secrets_wo_version = 1"
	s.repo.Write("app.py", strings.Replace(app, "print(\"cannot start:", "print(\"cannot start with \" + os.environ[\"TOKEN\"] + \":", 1))
	s.commit("v1")
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.commit("v2")
	s.tf.Apply()
	second := s.releaseID()
	s.commit("dies v3")
	s.tf.ApplyFails().MustNotSay(t, token)
	s.answers("v2  " + token)

	entries := history(t, s.tf, store)
	outcomes(t, entries, "update reverted", "update succeeded", "create succeeded")
	failed, update, create := entries[0], entries[1], entries[2]
	if reason, _ := failed["reason"].(string); reason == "" || update["reason"] != nil {
		t.Errorf("reasons: %v, %v", failed["reason"], update["reason"])
	}
	if create["release_id"] != first || update["release_id"] != second || fmt.Sprint(update["from_releases"]) != "["+first+"]" || fmt.Sprint(create["from_releases"]) != "[]" {
		t.Errorf("from %v to %v, then from %v to %v", create["from_releases"], create["release_id"], update["from_releases"], update["release_id"])
	}
	for _, h := range s.fleet.Hosts {
		i, _ := failed["instances"].(map[string]any)[h.Name].(map[string]any)
		if i["from_release"] != second || i["release"] != second {
			t.Errorf("after the revert, the history says of %s: %v", h.Name, i)
		}
	}
	for _, e := range entries {
		steps, _ := e["steps"].([]any)
		if len(steps) < 2 || e["actor"] == "" || e["strategy"] != "rolling" {
			t.Errorf("the story of %v is thin: %v by %v, %v", e["operation"], e["strategy"], e["actor"], steps)
		}
		for _, step := range steps {
			one := step.(map[string]any)
			if one["started"] == nil || one["ended"] == nil || one["ended"].(string) < one["started"].(string) {
				t.Errorf("%v: step %v", e["operation"], one)
			}
		}
	}
	holdsNo(t, store, token)

	s.tf.Destroy()
	outcomes(t, history(t, s.tf, store), "remove succeeded", "update reverted", "update succeeded", "create succeeded")
}

// holdsNo fails the test if a file below a directory holds a text.
func holdsNo(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s holds %q", path, text)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
}

// A runner that may only pull deploys and is told that the evidence is missing;
// the next apply that may write sends it, also one with nothing else to do.
func TestEvidenceIsSentLater(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	store := registry.Host + "/apps"
	s := newShop(t, 1)
	s.Provider = fmt.Sprintf("store = %q", store)
	s.write()
	s.tf.Apply()
	registry.SetPullOnly(true)
	s.Deployment = `environment_variables = { MODE = "two" }`
	s.write()
	s.tf.Apply().MustSay(t, "evidence", registry.Host, "403", "The ledger on the target has it")
	s.answers("v1 two")
	outcomes(t, history(t, s.tf, store), "create succeeded")

	registry.SetPullOnly(false)
	before := s.pids()
	s.Health = strings.Replace(s.Health, "20s", "30s", 1)
	s.write()
	s.tf.Apply().MustNotSay(t, "could not be sent")
	entries := history(t, s.tf, store)
	outcomes(t, entries, "update succeeded", "create succeeded")
	if steps, _ := entries[0]["steps"].([]any); len(steps) == 0 {
		t.Errorf("what was sent later tells less: %v", entries[0])
	}
	if s.pids() != before {
		t.Error("sending evidence restarted a service")
	}
	s.tf.NoChanges()
}

// Required evidence that could not be sent is refused before a host is
// touched, with where, why and what to do.
func TestRequiredEvidenceIsProvenFirst(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	s := newShop(t, 1)
	s.Provider = fmt.Sprintf("store = %q", registry.Host+"/apps")
	s.Deployment = `evidence = "required"`
	s.write()
	s.tf.Apply()
	before, deployed := s.pids(), s.deployment()["deployed_at"]

	registry.SetPullOnly(true)
	s.Deployment = "evidence = \"required\"\n  environment_variables = { MODE = \"two\" }"
	s.write()
	s.tf.ApplyFails().MustSay(t, "nothing was changed", `evidence = "required"`, registry.Host, "403", "best_effort")
	s.answers("v1")
	if s.pids() != before || s.deployment()["deployed_at"] != deployed {
		t.Error("the refused apply changed something")
	}
	registry.SetPullOnly(false)
	s.tf.Apply()
	s.answers("v1 two")
	outcomes(t, history(t, s.tf, registry.Host+"/apps"), "update succeeded", "create succeeded")
}
