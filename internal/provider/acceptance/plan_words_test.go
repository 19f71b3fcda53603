// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// A plan says what changes on each instance, by name and without a value, alike
// ones in one line, in which order, and what the switch means for the service.
func TestAPlanTellsWhatChanges(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.Deployment = "environment_variables = { DEBUG = \"1\", MODE = \"old-value\" }\n secrets_wo = { OLD = \"old-secret\" }\n secrets_wo_version = 2"
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	second := strings.Replace(first, s.repo.Head()[:12], s.commit("v2")[:12], 1)
	s.Service = "service {\n      command = \"exec python3 ./app.py\"\n      stop_timeout = \"2s\"\n    }"
	s.Target = "keep_releases = 3"
	s.Deployment = "environment_variables = { FLASK_ENV = \"new-value\", MODE = \"newer-value\" }\n secrets_wo = { NEW = \"new-secret\" }\n secrets_wo_version = 3"
	s.write()
	out := s.tf.Plan()
	out.MustSay(t, "How production/api will be rolled out",
		"service.command; variables MODE, + FLASK_ENV, - DEBUG; secrets version 2 -> 3 (+ NEW, - OLD)",
		"app-1 … app-3 (3 instances): "+releaseBase(first), " -> "+releaseBase(second),
		"Order: app-1, then app-2, then app-3.",
		"Settings of the target: + keep_releases.",
		"The service stops before the new one starts", "app-1, app-2, app-3: expect a gap of up to 2s (stop_timeout)")
	_, warning, _ := strings.Cut(out.Flat(), "How production/api will be rolled out")
	for _, value := range []string{"old-value", "new-value", "newer-value", "old-secret", "new-secret"} {
		if strings.Contains(warning, value) {
			t.Errorf("the warnings show the value %q", value)
		}
	}
	s.tf.Apply()
	s.answers("v2 newer-value")
	s.tf.NoChanges().MustNotSay(t, "Warning: ssh")
	s.Deployment = "environment_variables = { MODE = \"newer-value\" }\n secrets_wo = { NEW = \"new-secret\" }\n secrets_wo_version = 3"
	s.write()
	s.tf.Plan().MustSay(t, "stays; variables - FLASK_ENV")
}

// releaseBase is the part of a release id that does not depend on how far from a
// tag its commit is.
func releaseBase(id string) string { return id[:strings.Index(id, "-")] }

// After a failure that was not reverted, a plan tells what each instance really
// runs, and that, when and why the release failed here. With retry_failed = false
// the apply refuses it until something changes.
func TestAPlanTellsWhatFailedHere(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Deployment = "revert {\n automatic = false\n }"
	s.Health = strings.Replace(healthCheck, "20s", "2s", 1)
	s.write()
	s.tf.Apply()
	s.commit("bad2")
	s.tf.ApplyFails()
	s.answers("v1", s.fleet.Hosts[1])
	out := s.tf.Plan()
	out.MustSay(t, "release_id: shop:", "failed here before", "At 20", "app-1", "is tried again by this apply",
		"stays and is checked again: the rollout that brought it did not end well", "app-2: shop:")
	s.Deployment = "revert {\n automatic = false\n retry_failed = false\n }"
	s.write()
	s.tf.Plan().MustSay(t, "failed here before", "With revert.retry_failed = false the apply refuses it")
	s.tf.ApplyFails().MustSay(t, "failed")
	s.answers("v1", s.fleet.Hosts[1])
	s.commit("v3")
	s.tf.Plan().MustNotSay(t, "failed here before")
	s.tf.Apply()
	s.answers("v3")
	s.tf.NoChanges()
}

// An apply that is needed only to find a revision good is one: nothing differs
// on the instance, and the plan says so.
func TestAPlanChecksWhatNoRolloutFoundGood(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Deployment = "revert {\n automatic = false\n }"
	s.Health = strings.Replace(healthCheck, "20s", "2s", 1)
	s.write()
	s.tf.Apply()
	s.commit("bad2")
	s.tf.ApplyFails()
	change := s.tf.Planned("delivery_deployment.api")
	if change.Does() != "update" {
		t.Errorf("a version that never was healthy runs, and the plan is %s", change.Does())
	}
	s.Health = strings.Replace(s.Health, "/healthz", "/", 1)
	s.write()
	pid := s.fleet.Hosts[0].Exec(t, "pgrep -f '[a]pp.py'")
	s.tf.Apply()
	if now := s.fleet.Hosts[0].Exec(t, "pgrep -f '[a]pp.py'"); now != pid {
		t.Error("it was restarted to be checked")
	}
	s.tf.NoChanges().MustNotSay(t, "failed here before")
}

// How a deployment is rolled out, checked, put back, written down and waited for
// is no part of what runs: a change of that alone changes no instance.
func TestSettingsAloneChangeNoInstance(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	good := s.config
	for name, change := range map[string]func(*config) string{
		"health_check": func(c *config) string { c.Health = strings.Replace(healthCheck, "/healthz", "/", 1); return "" },
		"revert": func(c *config) string {
			c.Deployment = "revert {\n automatic = false\n on_cancel = true\n timeout = \"5m\"\n retry_failed = false\n }"
			return ""
		},
		"tasks": func(c *config) string {
			c.Deployment = "tasks {\n before {\n command = \"true\"\n }\n after {\n command = \"true\"\n }\n }"
			return ""
		},
		"hooks": func(c *config) string {
			c.Deployment = "hooks {\n drain {\n command = \"true\"\n }\n undrain {\n command = \"true\"\n }\n }"
			return ""
		},
		"analysis": func(c *config) string {
			c.Deployment = "analysis {\n name = \"errors\"\n success = \"< 1\"\n no_data = \"fail\"\n command {\n command = \"echo 0\"\n }\n }"
			return ""
		},
		"lock_timeout": func(c *config) string { c.Deployment = "lock_timeout = \"1m\""; return "" },
		"evidence":     func(c *config) string { c.Deployment = "evidence = \"off\""; return "" },
		"timeouts":     func(c *config) string { c.Deployment = "timeouts {\n update = \"20m\"\n }"; return "" },
		"on_destroy":   func(c *config) string { c.Deployment = "on_destroy = \"retain\""; return "" },
		"rolling": func(c *config) string {
			c.Rolling = "max_parallel = \"50%\"\n max_failures = 1\n min_healthy_time = \"1s\"\n pause = \"1s\"\n order = [\"app-2\"]"
			return ""
		},
		"all_at_once": func(*config) string { return "all_at_once {" },
		"canary":      func(c *config) string { c.Rolling = "step {\n instances = 1\n }"; return "canary {" },
	} {
		c := good
		strategy := change(&c)
		text := s.render(c)
		if strategy != "" {
			text = strings.Replace(text, "rolling {", strategy, 1)
		}
		s.tf.Write("main.tf", text)
		got := s.tf.Planned("delivery_deployment.api")
		if got.Does() != "update" {
			t.Errorf("%s: the plan is %s", name, got.Does())
		}
		for attribute, after := range got.Change.After {
			changes := !reflect.DeepEqual(got.Change.Before[attribute], after)
			if changes && !settings[attribute] {
				t.Errorf("%s: %s changes from %v to %v", name, attribute, got.Change.Before[attribute], after)
			}
		}
		for _, attribute := range computed {
			if unknown, is := got.Change.AfterUnknown[attribute]; is && holdsTrue(unknown) {
				t.Errorf("%s: %s is not known: %v", name, attribute, unknown)
			}
		}
	}
}

var (
	settings = map[string]bool{
		"strategy": true, "health_check": true, "revert": true, "tasks": true, "hooks": true, "analysis": true,
		"lock_timeout": true, "evidence": true, "timeouts": true, "on_destroy": true,
	}
	computed = []string{"id", "instances", "details", "commits", "running_release_id", "previous_release_id", "deployed_at"}
)

// holdsTrue looks for a true in what terraform show says of unknown values.
func holdsTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case []any:
		for _, e := range v {
			if holdsTrue(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if holdsTrue(e) {
				return true
			}
		}
	}
	return false
}

// What would be in the way on a new host is a warning of the plan that adds it.
func TestAPlanForeseesAMissingRight(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Hosts = s.fleet.HostsHCL(s.fleet.Hosts[0])
	s.write()
	s.tf.Apply()
	s.fleet.Hosts[1].Exec(t, "chown root /srv")
	s.Hosts = s.fleet.HostsHCL()
	s.write()
	s.tf.Plan().MustSay(t, "Warning: ssh.path: A right is missing", "app-2: deploy may not write in /srv")
}

// A preview that cannot be made is one warning, after a bounded time.
func TestAPreviewThatFails(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	s.Deployment = `environment_variables = { MODE = "new" }`
	s.write()
	s.fleet.Hosts[0].CutOff(t)
	out := s.tf.Plan("-refresh=false")
	s.fleet.Hosts[0].Restore(t)
	out.MustSay(t, "stays; variables + MODE", "What the rollout of production/api would meet is not known")
	if out.Took > 40*time.Second {
		t.Errorf("the plan took %s", out.Took)
	}
	if n := strings.Count(out.Flat(), "would meet is not known"); n != 1 {
		t.Errorf("%d warnings say so", n)
	}
}
