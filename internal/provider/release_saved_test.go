// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// releaseRig is a repository on a Git server, and a configuration that makes
// releases of it.
type releaseRig struct {
	tf     *testrig.Terraform
	repo   *testrig.GitRepo
	server *testrig.GitServer
	store  string
}

const rigToken = "t0ken-of-the-rig"

func newReleaseRig(t *testing.T, stages string) releaseRig {
	t.Helper()
	r := releaseRig{tf: testrig.NewTerraform(t), repo: testrig.NewGitRepo(t), server: testrig.NewGitServer(t, rigToken)}
	r.store = filepath.Join(r.tf.Dir, ".delivery", "store")
	r.repo.Commit("First", map[string]string{"app.txt": "1"})
	r.tf.Write("main.tf", `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}
provider "delivery" {
  git {
    host  = "`+r.server.Host+`"
    token = "`+rigToken+`"
  }
}
`+releaseHCL(r.server.Serve(r.repo, "shop.git"), stages, `ref = "main"`))
	return r
}

func (r releaseRig) commit() any { return r.tf.Resource(releaseAddress)["commit"] }

// A saved plan ships exactly the commit that it showed, although the branch
// has moved since and the server lists another one.
func TestAccSavedPlanShipsWhatItShowed(t *testing.T) {
	t.Parallel()
	r := newReleaseRig(t, "")
	r.tf.Apply()
	second := r.repo.Commit("Second", map[string]string{"app.txt": "2"})
	file := r.tf.SavePlan()
	third := r.repo.Commit("Third", map[string]string{"app.txt": "3"})
	r.tf.Apply(file)
	if got := r.commit(); got != second {
		t.Errorf("the plan showed %s, and the state has %v", second, got)
	}
	if got := r.tf.Planned(releaseAddress).Change.After["commit"]; got != third {
		t.Errorf("the next plan shows %v, not %s", got, third)
	}
}

// A plan that creates a release resolves its ref itself. If the branch moves
// before such a plan is applied, Terraform refuses and nothing is shipped.
func TestAccSavedPlanOfANewReleaseIsRefusedWhenItsBranchMoved(t *testing.T) {
	t.Parallel()
	r := newReleaseRig(t, "")
	file := r.tf.SavePlan()
	r.repo.Commit("Second", map[string]string{"app.txt": "2"})
	r.tf.ApplyFails(file).MustSay(t, "inconsistent final plan")
	if r.tf.Has(releaseAddress) {
		t.Error("there is a release in the state")
	}
	if _, err := os.Stat(r.store); err == nil {
		t.Error("there is something in the store")
	}
}

// A Git server that is down is a warning as long as nothing needs it, and an
// error that names it when something does. Its token is in no message.
func TestAccUnreachableGitServer(t *testing.T) {
	t.Parallel()
	r := newReleaseRig(t, "")
	r.tf.Apply()
	r.server.SetDown(true)
	out := r.tf.NoChanges()
	out.MustSay(t, "pipeline: The source could not be looked at", r.server.Host)
	out.MustNotSay(t, rigToken)
	out = r.tf.PlanFails("-replace=" + releaseAddress)
	out.MustSay(t, "pipeline: The source cannot be read", r.server.Host)
	out.MustNotSay(t, rigToken)
	r.server.SetDown(false)
	r.repo.Commit("Second", map[string]string{"app.txt": "2"})
	if does := r.tf.Planned(releaseAddress).Does(); does != "update" {
		t.Errorf("the plan after the outage does %s", does)
	}
}

// Without a refresh a plan shows nothing new, and asks the server nothing.
func TestAccPlanWithoutRefresh(t *testing.T) {
	t.Parallel()
	r := newReleaseRig(t, "")
	r.tf.Apply()
	r.repo.Commit("Second", map[string]string{"app.txt": "2"})
	before := len(r.server.Requests())
	r.tf.NoChanges("-refresh=false")
	if asked := r.server.Requests()[before:]; len(asked) > 0 {
		t.Errorf("the server was asked %q", asked)
	}
}

// A store that did not outlive the last runner changes nothing in the state.
func TestAccReleaseSurvivesItsStore(t *testing.T) {
	t.Parallel()
	r := newReleaseRig(t, "")
	r.tf.Apply()
	if err := os.RemoveAll(r.store); err != nil {
		t.Fatal(err)
	}
	r.tf.NoChanges()
	second := r.repo.Commit("Second", map[string]string{"app.txt": "2"})
	r.tf.Apply()
	if got := r.commit(); got != second {
		t.Errorf("the state has commit %v, not %s", got, second)
	}
}

// A release that the store has with another digest than the state is an error:
// somebody replaced it.
func TestAccReplacedReleaseIsRefused(t *testing.T) {
	t.Parallel()
	r := newReleaseRig(t, `
  stage {
    name      = "build"
    commands  = ["od -An -tx1 -N16 /dev/urandom > unique"]
    artifacts = ["unique"]
  }`)
	r.tf.Apply()
	old := r.tf.Resource(releaseAddress)["digest"]
	if err := os.RemoveAll(r.store); err != nil {
		t.Fatal(err)
	}
	// Another state makes the same release again, with other bytes.
	other := r.tf.Sibling()
	config, err := os.ReadFile(filepath.Join(r.tf.Dir, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	other.Write("main.tf", string(config))
	other.Apply()
	if other.Resource(releaseAddress)["digest"] == old {
		t.Fatal("the stage is reproducible, so this test proves nothing")
	}
	if err := os.Rename(filepath.Join(other.Dir, ".delivery", "store"), r.store); err != nil {
		t.Fatal(err)
	}
	r.tf.PlanFails().MustSay(t, "version: The release was replaced in the store")
}
