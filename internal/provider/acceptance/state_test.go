// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rule 5 and 7: a change of configuration alone is rolled out and reverted like
// a release, and after the failure state holds what runs.
func TestABadConfigurationIsPutBack(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Deployment = `environment_variables = { MODE = "fine" }`
	s.write()
	s.tf.Apply()
	revision := instance(s.deployment(), "app-1")["revision"]
	s.Deployment = `environment_variables = { MODE = "broken" }`
	s.write()
	change := s.tf.Planned("delivery_deployment.api")
	if before, after := instance(change.Change.Before, "app-1"), instance(change.Change.After, "app-1"); before["release"] != after["release"] || before["revision"] == after["revision"] {
		t.Errorf("the plan of app-1 is %v -> %v: another revision of the same release was expected", before, after)
	}
	s.tf.Plan().MustSay(t, "stays; variables MODE", "app-1, then app-2")
	s.tf.ApplyFails().MustSay(t, "app-1", "500", "put back")
	s.answers("v1 fine")
	values := s.deployment()
	if got := values["environment_variables"].(map[string]any)["MODE"]; got != "fine" {
		t.Errorf("the state keeps the variables of the failed update: MODE = %v", got)
	}
	if got := instance(values, "app-1")["revision"]; got != revision {
		t.Errorf("the state says that revision %v runs, not %v", got, revision)
	}
	s.Deployment = `environment_variables = { MODE = "other" }`
	s.write()
	s.tf.Apply()
	s.answers("v1 other")
	s.tf.NoChanges()
}

// Every switched instance is reverted, not only the one that failed.
func TestAllSwitchedInstancesArePutBack(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.fleet.Hosts[2].Write(t, "/srv/flag", "")
	s.repo.Write("app.py", strings.Replace(app, `version.startswith("bad")`, `os.path.exists("/srv/flag")`, 1))
	s.commit("v2")
	out := s.tf.ApplyFails()
	out.MustSay(t, "app-3", "app-1", "app-2", "put back")
	s.answers("v1")
	s.runs(first)
}

// Rule 6: a failed first deployment is taken off again and leaves no state.
func TestAFailedFirstDeploymentLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.commit("bad1")
	s.write()
	s.tf.ApplyFails().MustSay(t, "app-1", "500", "nothing of it is left")
	if s.tf.Has("delivery_deployment.api") {
		t.Error("the failed deployment is in the state")
	}
	for _, h := range s.fleet.Hosts {
		if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "" {
			t.Errorf("%s still has %s", h.Name, left)
		}
	}
	s.commit("v2")
	if change := s.tf.Planned("delivery_deployment.api"); change.Does() != "create" {
		t.Errorf("the next plan is %s", change.Does())
	}
	s.tf.Apply()
	s.answers("v2")
}

// A service that dies at once is reported with its last lines, not with a
// timeout.
func TestAServiceThatDiesAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	s.commit("dies2")
	out := s.tf.ApplyFails()
	out.MustSay(t, "app-1", "the database schema is too old", "put back")
	if out.Took.Seconds() > 15 {
		t.Errorf("it took %s to notice", out.Took)
	}
	s.answers("v1")
}

// Rule 8: a secret reaches the application and a 0600 file, and nothing else:
// not the state, a plan, a log, or a diagnostic.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-Pa55word"
	s := newShop(t, 1)
	s.Deployment = "secrets_wo = { TOKEN = \"" + secret + "\" }\n secrets_wo_version = 1"
	s.write()
	logs := filepath.Join(t.TempDir(), "log")
	s.tf.Setenv("TF_LOG", "TRACE")
	s.tf.Setenv("TF_LOG_PATH", logs)
	file := s.tf.SavePlan()
	out := s.tf.Apply(file)
	s.answers("v1  " + secret)
	h := s.fleet.Hosts[0]
	holders := strings.Fields(h.Exec(t, "grep -rl '"+secret+"' /srv"))
	for _, path := range holders {
		if mode := strings.TrimSpace(h.Exec(t, "stat -c '%a %U' "+path)); mode != "600 deploy" {
			t.Errorf("%s holds the secret with mode %s", path, mode)
		}
	}
	if len(holders) != 1 {
		t.Errorf("the secret is in %v", holders)
	}
	if argv := h.Exec(t, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"); strings.Contains(argv, secret) {
		t.Error("the secret is in a process's arguments")
	}
	s.repo.Write("app.py", `import os, sys; print("token is", os.environ["TOKEN"], flush=True); sys.exit(1)`)
	s.commit("v2")
	failed := s.tf.ApplyFails()
	failed.MustSay(t, "token is")
	texts := map[string]string{"the output": out.Text() + failed.Text()}
	for _, name := range []string{logs, file, filepath.Join(s.tf.Dir, "terraform.tfstate")} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	for name, text := range texts {
		for n, line := range strings.Split(text, "\n") {
			// The configuration itself, sent to the provider, is Terraform's own to log.
			if strings.Contains(line, secret) {
				t.Errorf("%s holds the secret in line %d: %.300s", name, n+1, line)
				break
			}
		}
	}
}

// Rule 7: a repair of one host uses the secrets that its revision was deployed
// with, although the configuration has others by now.
func TestARepairUsesTheSecretsOfItsRevision(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Deployment = "secrets_wo = { TOKEN = \"old-secret\" }\n secrets_wo_version = 1"
	s.write()
	s.tf.Apply()
	s.commit("v2")
	s.tf.Apply()
	h := s.fleet.Hosts[1]
	h.Exec(t, "cd /srv/api && ln -s releases/$(ls -t releases | tail -1) .next && mv -T .next current")
	s.Deployment = strings.Replace(s.Deployment, "old-secret", "new-secret", 1)
	s.write()
	s.tf.Apply()
	s.answers("v2  old-secret")
	s.Deployment = strings.Replace(s.Deployment, "version = 1", "version = 2", 1)
	s.write()
	s.tf.Apply()
	s.answers("v2  new-secret")
}

// A timeout is an error, and leaves the truth in state.
func TestATimeoutIsAnError(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.commit("bad2")
	s.Health = strings.Replace(healthCheck, "20s", "2m", 1)
	s.Deployment = "timeouts {\n update = \"4s\"\n }"
	s.write()
	s.tf.ApplyFails().MustSay(t, "timeout", "put back")
	s.answers("v1")
	s.runs(first)
}
