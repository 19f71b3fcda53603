// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// halfCleaned is a first deployment that failed on two hosts, of which one died
// before it could be cleaned up, and is back.
func halfCleaned(t *testing.T) *shop {
	t.Helper()
	s := newShop(t, 2)
	s.commit("bad1")
	s.SSH = strings.Replace(s.SSH, "ssh {", "ssh {\n connect_timeout = \"3s\"", 1)
	s.Rolling = "max_parallel = 2"
	s.Health = strings.Replace(healthCheck, "20s", "12s", 1)
	s.write()
	process := s.tf.StartApply()
	waitFor(t, func() bool { return s.answer(s.fleet.Hosts[0]) == "bad1" && s.answer(s.fleet.Hosts[1]) == "bad1" })
	s.fleet.Hosts[1].Kill(t)
	out := process.Wait()
	if out.Err == nil {
		t.Fatal("the apply says that it succeeded")
	}
	out.MustSay(t, "delivery_deployment.api", "app-2", "reach")
	out.MustNotSay(t, "nothing of it is left", "inconsistent")
	if !s.tf.Has("delivery_deployment.api") {
		t.Fatalf("the state has forgotten a deployment that is still on app-2:\n%s", out.Text())
	}
	values := s.deployment()
	if i := instance(values, "app-1"); i["release"] != nil {
		t.Errorf("app-1 was cleaned up, and the state says %v", i)
	}
	if i := instance(values, "app-2"); i["health"] == "healthy" {
		t.Errorf("app-2 is dead, and the state says %v", i)
	}
	s.answers("")
	if left := strings.TrimSpace(s.fleet.Hosts[0].Exec(t, "ls -A /srv")); left != "" {
		t.Errorf("app-1 still has %s", left)
	}
	s.fleet.Hosts[1].Start(t)
	return s
}

// Rule 6: when a first deployment fails and a host dies before it can be
// cleaned up, the state keeps the deployment, with what is left where, and a
// destroy finishes the job.
func TestADestroyAfterAFirstDeploymentThatWasNotCleanedUp(t *testing.T) {
	t.Parallel()
	s := halfCleaned(t)
	s.tf.Destroy()
	s.answers("")
	for _, h := range s.fleet.Hosts {
		if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "" {
			t.Errorf("%s still has %s", h.Name, left)
		}
	}
}

// Rule 9: a first deployment that was killed half way left no state; the next
// create finds it incomplete and takes it over.
func TestAKilledFirstDeploymentIsTakenOver(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Rolling = `min_healthy_time = "5m"`
	s.Health = strings.Replace(healthCheck, "20s", "10m", 1)
	s.write()
	process := s.tf.StartApply()
	waitFor(t, func() bool { return s.answer(s.fleet.Hosts[0]) == "v1" })
	process.Kill()
	process.Wait()
	waitFor(t, func() bool { return len(testrig.Running(s.tf.Provider)) == 0 })
	if s.tf.Has("delivery_deployment.api") {
		t.Fatal("the killed create is in the state")
	}
	s.Rolling, s.Health = "", healthCheck
	s.write()
	s.commit("v2")
	if change := s.tf.Planned("delivery_deployment.api"); change.Does() != "create" {
		t.Errorf("the plan is %s", change.Does())
	}
	s.tf.Apply()
	s.answers("v2")
	s.runs(s.releaseID())
	s.tf.NoChanges()
}

// Rule 12: another environment is a replacement that goes through: the old
// deployment is taken off, the new one takes its place.
func TestAnotherEnvironment(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	s.tf.Write("main.tf", strings.Replace(s.render(s.config), `"production"`, `"staging"`, 1))
	s.commit("v2")
	if change := s.tf.Planned("delivery_deployment.api"); change.Does() != "delete,create" {
		t.Errorf("the plan is %s", change.Does())
	}
	s.tf.Apply().MustSay(t, "downtime")
	s.answers("v2")
	s.runs(s.releaseID())
	if id := s.deployment()["id"]; id != "staging/api" {
		t.Errorf("the new deployment is %v", id)
	}
	s.tf.NoChanges()
}

// Rule 12: another kind of deployer is a replacement that goes through, in both
// directions: what the old one placed is gone, the new one has its own.
func TestAnotherDeployer(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	path, sum := somebodysPlugin(t)
	target := t.TempDir()
	s.Provider = fmt.Sprintf("plugin {\n name = \"example\"\n path = %q\n checksum = \"sha256:%s\"\n }", path, sum)
	s.write()
	s.tf.Apply()
	s.answers("v1")
	before, _, _ := strings.Cut(s.render(s.config), `resource "delivery_deployment"`)
	s.tf.Write("main.tf", before+fmt.Sprintf(`resource "delivery_deployment" "api" {
  name        = "api"
  environment = "production"
  release_id  = delivery_release.shop.id
  plugin {
    name   = "example"
    config = { directory = %q }
  }
  strategy {
    rolling {
      min_healthy_time = "0s"
    }
  }
}
`, target))
	if change := s.tf.Planned("delivery_deployment.api"); change.Does() != "delete,create" {
		t.Errorf("the plan from ssh to a plugin is %s", change.Does())
	}
	s.tf.Apply().MustSay(t, "downtime")
	s.answers("")
	if left := strings.TrimSpace(s.fleet.Hosts[0].Exec(t, "ls -A /srv")); left != "" {
		t.Errorf("the host still has %s", left)
	}
	if got := instance(s.deployment(), "default")["release"]; got != s.releaseID() {
		t.Errorf("the plugin's instance runs %v", got)
	}
	s.tf.NoChanges()

	s.write()
	s.tf.Apply().MustSay(t, "downtime")
	s.answers("v1")
	s.runs(s.releaseID())
	if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
		t.Errorf("the plugin's directory still has %v, %v", left, err)
	}
	s.tf.NoChanges()
}

// Rules 1 and 2: a saved plan ends with exactly what it showed, although one
// host could not be reached when it was made and somebody broke another one
// since.
func TestASavedPlanMendsWhatHappenedSince(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.write()
	s.tf.Apply()
	s.commit("v2")
	s.fleet.Hosts[1].Kill(t)
	file := s.tf.SavePlan()
	shown := map[string]any{}
	for _, c := range s.tf.ShowPlan(file).Changes {
		if c.Address == "delivery_deployment.api" {
			shown = c.Change.After
		}
	}
	s.fleet.Hosts[1].Start(t)
	s.fleet.Hosts[2].Exec(t, "pkill -u deploy -f supervise; pkill -u deploy python3; rm -rf /srv/api/releases/* /srv/api/current")
	s.tf.Apply(file)
	s.answers("v2")
	s.runs(s.releaseID())
	values := s.deployment()
	for _, h := range s.fleet.Hosts {
		if got, want := instance(values, h.Name)["revision"], instance(shown, h.Name)["revision"]; got != want || want == nil {
			t.Errorf("%s runs revision %v, the plan showed %v", h.Name, got, want)
		}
	}
	s.tf.NoChanges()
}

// Rules 3 and 12: a normal apply, with its refresh, of settings that concern no
// instance: a host that is cut off is a warning, the apply succeeds, and
// nothing is written anywhere.
func TestSettingsChangeWithAHostCutOff(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.SSH = strings.Replace(s.SSH, "ssh {", "ssh {\n connect_timeout = \"3s\"", 1)
	s.write()
	s.tf.Apply()
	ledgers := func() (all string) {
		for _, h := range s.fleet.Hosts {
			all += h.Exec(t, "cat /srv/api/.delivery/ledger.jsonl")
		}
		return all
	}
	ledger, running, wasRunning := ledgers(), s.pids(), s.deployment()["instances"]
	s.fleet.Hosts[1].CutOff(t)
	s.Health = strings.Replace(healthCheck, "20s", "30s", 1)
	s.Rolling = "max_parallel = 2"
	s.Deployment = "revert {\n on_cancel = true\n }\n timeouts {\n update = \"3m\"\n }"
	s.write()
	out := s.tf.Apply()
	out.MustSay(t, "Warning", "app-2", "cannot be reached")
	if out.Took > 30*time.Second {
		t.Errorf("the apply took %s", out.Took)
	}
	s.fleet.Hosts[1].Restore(t)
	if ledgers() != ledger || s.pids() != running {
		t.Error("a host was touched")
	}
	values := s.deployment()
	if got := values["health_check"].(map[string]any)["healthy_deadline"]; got != "30s" {
		t.Errorf("the state has the old settings: %v", got)
	}
	if fmt.Sprint(values["instances"]) != fmt.Sprint(wasRunning) {
		t.Errorf("the state said %v runs, and now %v", wasRunning, values["instances"])
	}
	s.tf.NoChanges()
}
