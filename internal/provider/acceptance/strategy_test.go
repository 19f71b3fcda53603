// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"slices"
	"testing"
)

// drainHooks take a host out of the balancer, which notices within lookEvery, and
// put it back.
const drainHooks = `hooks {
    drain {
      command = "touch /srv/drained && sleep 0.3"
    }
    undrain {
      command = "rm -f /srv/drained"
    }
  }`

// Ten hosts behind a load balancer are updated, two at a time, and then put back
// from a bad version, while clients make requests all the time: none is lost.
func TestRollingLosesNoRequest(t *testing.T) {
	t.Parallel()
	s := newShop(t, 10)
	s.Rolling = `max_parallel = "20%"`
	s.Deployment = drainHooks
	s.write()
	s.tf.Apply()
	stop := balance(t, s.fleet.Hosts, 4)

	s.commit("v2")
	s.tf.Plan().MustSay(t, "app-1 + app-10, then app-2 + app-3")
	s.tf.Apply()
	s.answers("v2")
	s.commit("bad")
	s.tf.ApplyFails().MustSay(t, "every switched instance was put back")
	s.answers("v2")

	got := stop()
	if len(got.lost) > 0 || got.answered < 500 || !slices.Equal(got.versions[:2], []string{"v1", "v2"}) {
		t.Errorf("%d requests were answered, by %v; %d were lost: %.10v", got.answered, got.versions, len(got.lost), got.lost)
	}
	t.Logf("%d of %d requests were answered, by %v", got.answered, got.answered+len(got.lost), got.versions)
}

// all_at_once prepares everywhere first: one host that cannot prepare leaves all
// as they are. A task before the switch that fails does so too, one after it has
// everything put back.
func TestAllAtOnceTouchesNothingUnlessAllArePrepared(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.Strategy = "all_at_once {}"
	s.write()
	s.tf.Apply()

	s.commit("v2")
	s.Target = `install = ["test $(hostname) != app-2 || { echo no space for wheels; exit 7; }"]`
	s.write()
	s.tf.ApplyFails().MustSay(t, "app-2: prepare", "ended with status 7", "no space for wheels", "before any instance was switched")
	s.answers("v1")
	s.Target = ""

	task := `tasks {
    %s {
      command = "echo $DELIVERY_INSTANCE has $(cat VERSION) >>/srv/tasks && %s"
    }
  }`
	s.Deployment = fmt.Sprintf(task, "before", "echo no such table && false")
	s.write()
	s.tf.ApplyFails().MustSay(t, "tasks.before", "app-1", "no such table", "before any instance was switched")
	s.answers("v1")

	s.Deployment = fmt.Sprintf(task, "after", "false")
	s.write()
	s.tf.ApplyFails().MustSay(t, "tasks.after", "every switched instance was put back")
	s.answers("v1")

	s.Deployment = fmt.Sprintf(task, "before", "true")
	s.write()
	s.tf.Apply()
	s.answers("v2")
	if got := s.fleet.Hosts[0].Exec(t, "sort -u /srv/tasks"); got != "app-1 has v2\n" {
		t.Errorf("the tasks ran as: %s", got)
	}
	for _, h := range s.fleet.Hosts[1:] {
		if got := h.Exec(t, "ls /srv/tasks 2>/dev/null || echo none"); got != "none\n" {
			t.Errorf("a task ran on %s", h.Name)
		}
	}
	s.tf.NoChanges()
}

// Instances beyond max_failures decide whether to go on; any that is not where
// the plan put it is an error, and the next plan shows it.
func TestMaxFailures(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.Health = `health_check {
    interval            = "100ms"
    unhealthy_threshold = 3
    command {
      command = "test ! -e /srv/sick && python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000/\")'"
    }
  }`
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.fleet.Hosts[1].Write(t, "/srv/sick", "")
	s.commit("v2")
	s.Rolling = "max_failures = 1"
	s.write()
	s.tf.ApplyFails().MustSay(t, "app-2: health check: it answered badly 3 times in a row", "2 of 3 instances have it")
	s.answers("v2", s.fleet.Hosts[0], s.fleet.Hosts[2])
	s.answers("v1", s.fleet.Hosts[1])
	if got := instance(s.deployment(), "app-2")["release"]; got != first {
		t.Errorf("the state says that app-2 runs %v, not %s", got, first)
	}
	s.fleet.Hosts[1].Exec(t, "rm /srv/sick")
	s.tf.Plan().MustSay(t, "app-2")
	s.tf.Apply()
	s.answers("v2")
	s.runs(s.releaseID())
}

// A release that failed is announced at the next plan with its reason, and is
// refused when it shall not be tried again.
func TestAReleaseThatFailedBefore(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	s.commit("dies")
	s.tf.ApplyFails().MustSay(t, "every switched instance was put back", "the database schema is too old")
	s.Deployment = `revert {
    retry_failed = false
  }`
	s.write()
	s.tf.Plan().MustSay(t, "failed here before", "retry_failed")
	s.tf.ApplyFails().MustSay(t, "failed here before", "failed on this target at")
	s.answers("v1")
	s.commit("v2")
	s.tf.Apply()
	s.answers("v2")
	s.tf.NoChanges()
}

// What the deployer of hosts cannot do is refused at plan, where it is written.
func TestStrategiesThatHostsCannotDo(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Strategy = "blue_green {}"
	s.write()
	s.tf.PlanFails().MustSay(t, "strategy.blue_green", "side by side")
	s.Strategy = `canary {
      step {
        weight = 10
      }
    }`
	s.write()
	s.tf.PlanFails().MustSay(t, "strategy.canary.step[0].weight")
}
