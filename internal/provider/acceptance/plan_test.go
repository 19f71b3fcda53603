// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"strings"
	"testing"
)

// Rule 1: a saved plan ships exactly the commit that it showed, although the
// branch has moved since, and a host that was down at the plan is back.
func TestASavedPlanShipsWhatItShowed(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	shown := s.commit("v2")
	s.fleet.Hosts[1].Kill(t)
	file := s.tf.SavePlan()
	s.fleet.Hosts[1].Start(t)
	s.commit("v3")
	s.tf.Apply(file)
	s.answers("v2")
	if got := s.tf.Resource("delivery_release.shop")["commit"]; got != shown {
		t.Errorf("commit %v was shipped, %s was shown", got, shown)
	}
	s.runs(s.releaseID())
}

// Rule 1 and 2: when a host goes down between a plan and its apply, nothing
// newer is shipped, the error names the host, and what serves goes on serving.
func TestAHostGoesDownAfterThePlan(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.commit("v2")
	file := s.tf.SavePlan()
	s.commit("v3")
	s.fleet.Hosts[2].Kill(t)
	out := s.tf.ApplyFails(file)
	out.MustSay(t, "app-3", "reach")
	out.MustNotSay(t, "inconsistent")
	s.answers("v1", s.fleet.Hosts[:2]...)
	s.runs(first)
	s.fleet.Hosts[2].Start(t)
	s.tf.Apply()
	s.answers("v3")
}

// Rule 1: -refresh=false shows neither new commits nor drift.
func TestWithoutRefreshNothingIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	s.commit("v2")
	s.fleet.Hosts[0].CutOff(t)
	s.tf.NoChanges("-refresh=false")
	s.fleet.Hosts[0].Restore(t)
}

// Rule 3: a host that cannot be reached at plan is a warning and keeps its
// state; with a change of configuration the new revision is known all the same.
func TestAnUnreachableHostAtPlan(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	s.fleet.Hosts[1].Kill(t)
	out := s.tf.NoChanges()
	out.MustSay(t, "Warning", "app-2", "cannot be reached")
	s.Deployment = `environment_variables = { MODE = "new" }`
	s.write()
	change := s.tf.Planned("delivery_deployment.api")
	if change.Does() != "update" {
		t.Errorf("the plan is %s", change.Does())
	}
	for _, name := range []string{"app-1", "app-2"} {
		before, after := instance(change.Change.Before, name), instance(change.Change.After, name)
		if after["revision"] == nil || after["revision"] == before["revision"] {
			t.Errorf("%s: revision %v -> %v", name, before["revision"], after["revision"])
		}
	}
	s.fleet.Hosts[1].Start(t)
	s.tf.Apply()
	s.answers("v1 new")
}

// Rule 3: while the provider's own values are unknown, Read returns the state
// as it is.
func TestAnUnknownConnectionAtPlan(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	known := s.fleet.User
	s.SSH = strings.Replace(s.SSH, `"`+known+`"`, "terraform_data.user.output", 1)
	s.More = `resource "terraform_data" "user" { input = "` + known + `" }`
	s.write()
	change := s.tf.Planned("delivery_deployment.api")
	if change.Does() != "no-op" {
		t.Errorf("the plan is %s", change.Does())
	}
	s.tf.Apply()
	s.answers("v1")
}

// Rule 4: hosts of the same apply: their names are known at plan, their
// addresses are not.
func TestHostsOfTheSameApply(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Hosts = `{ app-1 = terraform_data.host["app-1"].output, app-2 = terraform_data.host["app-2"].output }`
	s.More = `resource "terraform_data" "host" {
  for_each = ` + s.fleet.HostsHCL() + `
  input    = each.value
}`
	s.write()
	change := s.tf.Planned("delivery_deployment.api")
	for _, name := range []string{"app-1", "app-2"} {
		if after := instance(change.Change.After, name); after["health"] != "healthy" || after["address"] != nil {
			t.Errorf("planned %s: %v", name, after)
		}
	}
	s.tf.Apply()
	s.answers("v1")
	s.tf.NoChanges()
}

// Rule 4: a map of hosts that is not known at all gives unknown instances.
func TestAnUnknownMapOfHosts(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Hosts = `terraform_data.hosts.output`
	s.More = `resource "terraform_data" "hosts" { input = ` + s.fleet.HostsHCL() + ` }`
	s.write()
	change := s.tf.Planned("delivery_deployment.api")
	if change.Change.AfterUnknown["instances"] != true {
		t.Errorf("the planned instances are %v", change.Change.After["instances"])
	}
	s.tf.Apply()
	s.answers("v1")
	s.tf.NoChanges()
}

// Rule 12: settings that concern no instance are changed without contact.
func TestSettingsChangeWithoutContact(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	before := s.fleet.Hosts[0].Exec(t, "cat /srv/api/.delivery/ledger.jsonl")
	s.fleet.Hosts[0].CutOff(t)
	s.Health = strings.Replace(healthCheck, "20s", "30s", 1)
	s.Rolling = "max_parallel = 2"
	s.Deployment = "on_destroy = \"retain\"\n revert {\n on_cancel = true\n }\n timeouts {\n update = \"3m\"\n }"
	s.write()
	out := s.tf.Apply("-refresh=false")
	if out.Took.Seconds() > 10 {
		t.Errorf("the apply took %s: it waited for a host", out.Took)
	}
	s.fleet.Hosts[0].Restore(t)
	if after := s.fleet.Hosts[0].Exec(t, "cat /srv/api/.delivery/ledger.jsonl"); after != before {
		t.Error("the ledger was written")
	}
	s.tf.NoChanges()
	s.tf.Destroy()
	s.answers("v1") // on_destroy = "retain"
}

// Rules 18 and 19: mistakes are found by terraform validate, and say which
// attribute, what is wrong and what to do.
func TestMistakesInTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	good := s.config
	for name, c := range map[string]struct {
		change func(*config)
		says   []string
	}{
		"two deployers":       {func(c *config) { c.Deployment = "local {\n path = \"/srv/x\"\n }" }, []string{"ssh: More than one deployer", "keep one of the blocks"}},
		"a typo":              {func(c *config) { c.Target = "keep_release = 3" }, []string{"keep_release", "keep_releases"}},
		"two probes":          {func(c *config) { c.Health = "health_check {\n http {\n port = 1\n }\n tcp {\n port = 1\n }\n }" }, []string{"health_check.tcp: More than one probe"}},
		"no duration":         {func(c *config) { c.Rolling = `min_healthy_time = "soon"` }, []string{"min_healthy_time", `"soon"`, `"30s"`}},
		"no port":             {func(c *config) { c.Health = "health_check {\n http {\n path = \"/\"\n }\n }" }, []string{`"port" is required`}},
		"a bad name":          {func(c *config) { c.Name = "API!" }, []string{"name: Not a valid name"}},
		"a bad host":          {func(c *config) { c.Hosts = `{ app-1 = "10.0.0.1:99999" }` }, []string{`ssh.hosts["app-1"]`, "99999"}},
		"no strategy":         {func(c *config) { c.Deployment = ""; c.Rolling = "}\n canary {\n" }, []string{"canary"}},
		"a bad variable":      {func(c *config) { c.Deployment = `environment_variables = { "A B" = "1" }` }, []string{"environment_variables", `"A B"`}},
		"secrets, no version": {func(c *config) { c.Deployment = `secrets_wo = { A = "1" }` }, []string{"secrets_wo_version"}},
		"a bad release id":    {func(c *config) { c.ReleaseID = `"shop"` }, []string{"release_id", "<pipeline>:<version>"}},
		"a relative path":     {func(c *config) { c.Path = "srv/api" }, []string{"ssh.path", "srv/api"}},
	} {
		s.config = good
		c.change(&s.config)
		s.write()
		out := s.tf.Validate()
		if out.Err == nil {
			out = s.tf.PlanFails()
		}
		for _, text := range c.says {
			if !out.Says(text) {
				t.Errorf("%s: the message does not say %q:\n%s", name, text, out.Text())
			}
		}
	}
}
