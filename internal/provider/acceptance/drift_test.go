// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// What somebody changed by hand on one host shows in the next plan, with the
// instance and what it is, and the apply repairs it and touches no other host.
func TestDrift(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meddle func(*testing.T, *testrig.Host)
		says   []string
	}{
		"current switched by hand": {
			func(t *testing.T, h *testrig.Host) {
				h.Exec(t, "cd /srv/api && ln -s releases/$(ls -t releases | tail -1) .next && mv -T .next current")
			},
			[]string{"app-2", "current"},
		},
		"service stopped": {
			func(t *testing.T, h *testrig.Host) {
				h.Exec(t, "pkill -u deploy -f supervise; pkill -u deploy python3; exit 0")
			},
			[]string{"app-2", "stopped"},
		},
		"release deleted": {
			func(t *testing.T, h *testrig.Host) { h.Exec(t, "rm -rf /srv/api/releases/*") },
			[]string{"app-2", "releases"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 2)
			s.write()
			s.tf.Apply()
			s.commit("v2")
			s.tf.Apply()
			release := s.releaseID()
			pid := s.fleet.Hosts[0].Exec(t, "pgrep -f '[a]pp.py'")
			c.meddle(t, s.fleet.Hosts[1])
			out := s.tf.Plan()
			out.MustSay(t, c.says...)
			change := s.tf.Planned("delivery_deployment.api")
			if change.Does() != "update" {
				t.Fatalf("the plan is %s", change.Does())
			}
			if before, after := instance(change.Change.Before, "app-1"), instance(change.Change.After, "app-1"); before["health"] != "healthy" || before["revision"] != after["revision"] {
				t.Errorf("the plan of the untouched host is %v -> %v", before, after)
			}
			if before := instance(change.Change.Before, "app-2"); before["health"] == "healthy" && before["release"] == release {
				t.Errorf("the state before says that nothing happened: %v", before)
			}
			s.tf.Apply()
			s.answers("v2")
			s.runs(release)
			s.tf.NoChanges()
			if now := s.fleet.Hosts[0].Exec(t, "pgrep -f '[a]pp.py'"); now != pid {
				t.Error("the repair of app-2 restarted app-1")
			}
		})
	}
}
