// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"strings"
	"testing"
)

// An application comes from Git to three hosts, a new commit shows in the plan
// and rolls out, a bad one is put back, and the state is true all the time.
func TestTheMainJob(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.write()
	s.tf.Apply()
	s.answers("v1")
	first := s.releaseID()
	s.runs(first)
	s.tf.NoChanges()

	commit := s.commit("v2")
	plan := s.tf.ShowPlan(s.tf.SavePlan())
	for _, c := range plan.Changes {
		switch c.Address {
		case "delivery_release.shop":
			if c.Does() != "update" || c.Change.After["commit"] != commit {
				t.Errorf("the release's plan is %s to commit %v, not an update to %s", c.Does(), c.Change.After["commit"], commit)
			}
			commits, _ := c.Change.After["commits"].([]any)
			if len(commits) != 1 || commits[0].(map[string]any)["subject"] != "Version v2" {
				t.Errorf("the plan's new commits are %v", commits)
			}
			if id, _ := c.Change.After["id"].(string); !strings.Contains(id, commit[:12]) {
				t.Errorf("the planned id %q does not name commit %s", id, commit)
			}
		case "delivery_deployment.api":
			for _, h := range s.fleet.Hosts {
				before, after := instance(c.Change.Before, h.Name), instance(c.Change.After, h.Name)
				if before["release"] != first || after["release"] == first || after["release"] == nil || after["health"] != "healthy" || after["revision"] == nil || after["address"] != h.Address {
					t.Errorf("the plan of %s is %v -> %v", h.Name, before, after)
				}
			}
			if c.Does() != "update" {
				t.Errorf("the deployment's plan is %s, not an update in place", c.Does())
			}
		}
	}
	s.tf.Apply()
	s.answers("v2")
	second := s.releaseID()
	s.runs(second)
	if values := s.deployment(); values["running_release_id"] != second || values["previous_release_id"] != first {
		t.Errorf("running %v after %v, want %s after %s", values["running_release_id"], values["previous_release_id"], second, first)
	}
	s.tf.NoChanges()

	s.commit("bad3")
	out := s.tf.ApplyFails()
	out.MustSay(t, "delivery_deployment", "app-1", "500", "put back")
	s.answers("v2")
	s.runs(second)
	if values := s.deployment(); values["running_release_id"] != second || values["release_id"] != second {
		t.Errorf("after the failure the state says %v runs and %v was wanted", values["running_release_id"], values["release_id"])
	}
	s.tf.Plan().MustSay(t, "failed here before")

	s.commit("v4")
	s.tf.Apply()
	s.answers("v4")
	s.tf.NoChanges()
	s.tf.Destroy()
	s.answers("")
	for _, h := range s.fleet.Hosts {
		if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "" {
			t.Errorf("%s still has %s", h.Name, left)
		}
	}
}
