// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A setting of the target alone, such as keep_releases, is applied without a
// rollout and keeps what a plan promised to keep.
func TestATargetSettingAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Target = "keep_releases = 5"
	s.write()
	s.tf.Apply()
	before := s.pids()
	s.Target = "keep_releases = 3"
	s.write()
	s.tf.Apply()
	if s.pids() != before {
		t.Error("the service was restarted")
	}
	s.tf.NoChanges()
}

// Rule 7: a release that comes back from another store with other bytes is
// refused, and what serves goes on serving.
func TestOtherBytesUnderOneReleaseAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Release += "\n  version = \"1.0.0\""
	s.write()
	s.tf.Apply()
	s.tf.Run("state", "rm", "delivery_release.shop")
	if err := os.RemoveAll(filepath.Join(s.tf.Dir, ".delivery")); err != nil {
		t.Fatal(err)
	}
	s.commit("v2")
	s.Deployment = `environment_variables = { MODE = "new" }`
	s.write()
	s.tf.ApplyFails().MustSay(t, "shop:1.0.0", "other bytes")
	s.answers("v1")
}

// Rules 5 and 10: what a failed move left at the new place is not forgotten:
// the next plan shows it, and the next apply takes it off.
func TestWhatAFailedMoveLeftIsTakenOff(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Deployment = "revert {\n automatic = false\n }"
	s.write()
	s.tf.Apply()
	good := s.config
	s.Path = "/srv/moved"
	s.Health = strings.Replace(strings.Replace(healthCheck, "/healthz", "/", 1), "8000", "8001", 1)
	s.Health = strings.Replace(s.Health, "20s", "2s", 1)
	s.write()
	s.tf.ApplyFails()
	s.config = good
	s.write()
	if change := s.tf.Planned("delivery_deployment.api"); change.Does() != "update" {
		t.Errorf("something of ours is at the other place, and the plan is %s", change.Does())
	}
	s.tf.Apply()
	s.answers("v1")
	s.tf.NoChanges()
	if left := strings.TrimSpace(s.fleet.Hosts[0].Exec(t, "ls -A /srv")); left != "api" {
		t.Errorf("the host has %s", left)
	}
	s.tf.Destroy()
	s.answers("")
}

// A plan that goes back to a release by its id says which commits that undoes
// or brings, as the store and Git can tell.
func TestAPlanByReleaseIDListsCommits(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.ReleaseID = `"` + first + `"`
	s.write()
	s.tf.NoChanges()
	s.commit("v2")
	s.tf.Apply()
	second := s.releaseID()
	s.answers("v1")
	s.ReleaseID = `"` + second + `"`
	s.write()
	s.tf.Plan().MustSay(t, "Brings", "Version v2")
	s.tf.Apply()
	s.answers("v2")
	commits, _ := s.deployment()["commits"].([]any)
	if len(commits) != 1 {
		t.Errorf("the deployment brought %v", commits)
	}
}
