// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// What can be wrong with a host or its access is said clearly, at the host,
// with what to do, and changes nothing.
func TestTroubleWithHosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []testrig.FleetOption
		change  func(*testing.T, *shop)
		says    []string
	}{
		"a wrong host key": {nil, func(t *testing.T, s *shop) {
			s.SSH = connection(s.fleet.User, s.fleet.Key.Private, s.fleet.Hosts[0].KnownHostWith(testrig.NewKeyPair(t, "")))
		}, []string{"app-1", "SHA256:", "known_hosts"}},
		"an unknown host": {nil, func(_ *testing.T, s *shop) {
			s.SSH = connection(s.fleet.User, s.fleet.Key.Private, "# nobody")
		}, []string{"app-1", "known_hosts", "SHA256:"}},
		"a refused key": {nil, func(t *testing.T, s *shop) {
			s.SSH = connection(s.fleet.User, testrig.NewKeyPair(t, "").Private, s.fleet.KnownHosts)
		}, []string{"app-1", "deploy", "key"}},
		"only passwords":      {[]testrig.FleetOption{testrig.SSHD("PubkeyAuthentication no", "PasswordAuthentication yes")}, func(*testing.T, *shop) {}, []string{"app-1", "password"}},
		"a host that is down": {nil, func(t *testing.T, s *shop) { s.fleet.Hosts[0].Kill(t) }, []string{"app-1", "reach"}},
		"no space": {[]testrig.FleetOption{testrig.Space(1 << 20)}, func(_ *testing.T, s *shop) {
			s.repo.Git("config", "core.bigFileThreshold", "1")
			s.repo.Write("big", strings.Repeat("not zeroes ", 300_000))
			s.commit("v1 big")
		}, []string{"app-1", "space"}},
		"a current that is a directory": {nil, func(t *testing.T, s *shop) {
			s.fleet.Hosts[0].Exec(t, "mkdir -p /srv/api/current && echo mine > /srv/api/current/file && chown -R deploy /srv/api")
		}, []string{"app-1", "current", "directory"}},
		"a path that is a file": {nil, func(t *testing.T, s *shop) { s.fleet.Hosts[0].Exec(t, "echo mine > /srv/api") }, []string{"app-1", "/srv/api"}},
		"a path without rights": {nil, func(t *testing.T, s *shop) {
			s.fleet.Hosts[0].Exec(t, "mkdir /srv/api && chown root /srv/api && chmod 755 /srv/api")
		}, []string{"app-1", "/srv/api"}},
		"an install command that fails": {nil, func(_ *testing.T, s *shop) {
			s.Target = `install = ["echo looking for the wheel", "no-such-program --now"]`
		}, []string{"app-1", "install", "no-such-program"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 1, c.options...)
			c.change(t, s)
			before, _ := s.fleet.Hosts[0].Try("find /srv | sort")
			s.write()
			s.tf.ApplyFails().MustSay(t, append(c.says, "delivery_deployment.api")...)
			if after, _ := s.fleet.Hosts[0].Try("find /srv | sort"); after != before {
				t.Errorf("the failed apply left something:\n%s", after)
			}
			if s.tf.Has("delivery_deployment.api") {
				t.Error("the failed deployment is in the state")
			}
		})
	}
}

// connection is a provider's ssh block with everything inline.
func connection(user, key, knownHosts string) string {
	return fmt.Sprintf("ssh {\n  user = %q\n  private_key = <<K\n%s\nK\n  known_hosts = <<K\n%s\nK\n}", user, strings.TrimSpace(key), strings.TrimSpace(knownHosts))
}

// A bastion is passed through, with its host key checked too.
func TestThroughABastion(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2, testrig.BehindBastion())
	s.Health = strings.Replace(s.Health, "20s", "30s", 1)
	s.write()
	s.tf.Apply()
	s.runs(s.releaseID())
	s.tf.NoChanges()
	s.tf.Destroy()
}

// Two applies at one target: one works, the other says who holds the lock.
func TestTwoAppliesAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	s.Rolling = `min_healthy_time = "25s"`
	s.Health = strings.Replace(healthCheck, "20s", "60s", 1)
	s.write()
	s.commit("v2")
	other := s.tf.Sibling()
	out := s.tf.Run("state", "pull")
	other.Write("terraform.tfstate", out.Stdout)
	other.Write("main.tf", s.render(s.config))
	file := other.SavePlan()
	process := s.tf.StartApply()
	waitFor(t, func() bool { return s.answer(s.fleet.Hosts[0]) == "v2" })
	other.ApplyFails(file).MustSay(t, "lock", "update", "since")
	if out := process.Wait(); out.Err != nil {
		t.Errorf("the apply that held the lock failed:\n%s", out.Text())
	}
	s.answers("v2")
}

// Two applies at one target with lock_timeout: the second one says at once, or
// when its patience is over, who holds the lock, since when and for what, and
// works when the first is done. Another deployment on the same hosts is not
// held up.
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	other := s.tf.Sibling()
	state, err := os.ReadFile(filepath.Join(s.tf.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	other.Write("terraform.tfstate", string(state))

	s.Deployment = `tasks {
    before {
      command = "touch /srv/held; while ! test -e /srv/go; do sleep 0.1; done"
    }
  }`
	s.commit("v2")
	s.write()
	process := s.tf.StartApply()
	waitFor(t, func() bool { _, err := s.fleet.Hosts[0].Try("test -e /srv/held"); return err == nil })

	for _, patience := range []string{"0s", "2s"} {
		again := s.config
		again.Deployment = fmt.Sprintf("lock_timeout = %q\n environment_variables = { MODE = \"two\" }", patience)
		other.Write("main.tf", s.render(again))
		other.ApplyFails().MustSay(t, "the target is locked", "holds it since", "for an update", "nothing was changed")
	}
	beside := s.config
	beside.Name, beside.Path, beside.Deployment, beside.Service, beside.Health = "beside", "/srv/beside", "", "", ""
	third := s.tf.Sibling()
	third.Write("main.tf", s.render(beside))
	third.Apply()

	s.fleet.Hosts[0].Exec(t, "touch /srv/go")
	if out := process.Wait(); out.Err != nil {
		t.Errorf("the first apply failed:\n%s", out.Text())
	}
	s.answers("v2")
	again := s.config
	again.Deployment = "lock_timeout = \"1m\"\n environment_variables = { MODE = \"two\" }"
	other.Write("main.tf", s.render(again))
	other.Apply()
	s.answers("v2 two")
}
