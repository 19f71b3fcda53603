// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// everything is what a failed apply must leave as it was: what the state says
// of the release and the deployment, every file of the store and of the hosts,
// and the processes of the hosts.
func (s *shop) everything() string {
	s.t.Helper()
	var b strings.Builder
	for _, r := range s.tf.ShowState().Resources {
		if r.Type == "delivery_pipeline" {
			continue // a value of its own, which becomes what the configuration says
		}
		values, err := json.Marshal(r.Values)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s tainted=%t %s\n", r.Address, r.Tainted, values)
	}
	b.WriteString(files(s.t, filepath.Join(s.tf.Dir, ".delivery", "store")))
	for _, h := range s.fleet.Hosts {
		b.WriteString(h.Exec(s.t, "find /srv -printf '%p %l\\n' | sort; cat /srv/*/.delivery/ledger.jsonl; pgrep -f '[a]pp.py'"))
	}
	return b.String()
}

// files lists a directory with a hash of each file; "" when there is none.
func files(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", strings.TrimPrefix(path, dir), sha256.Sum256(content))
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return b.String()
}

// What is wrong with a source, a stage or a report is said at its attribute,
// with the reason and what to do, and leaves state, store and hosts as they
// were; when it is mended the next plan has nothing to do.
func TestTroubleWithSourcesAndStages(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	// The reports are files of the repository, so that no command shows them.
	s.repo.Write("broken.xml", "<testsuite><testcase")
	s.repo.Write("cart.xml", `<testsuite name="cart" tests="2" failures="1"><testcase classname="tests.test_cart" name="test_empty"/>`+
		`<testcase classname="tests.test_cart" name="test_total"><failure message="3 is not 4"/></testcase></testsuite>`)
	s.repo.Write("test_shop.py", "def test_name():\n    assert True\n\ndef test_price():\n    assert 3 == 2 + 2\n")
	s.commit("v1")
	s.write()
	s.tf.Apply()
	good, before := s.config, s.everything()
	stage := func(attributes string, commands ...string) string {
		list, err := json.Marshal(commands)
		if err != nil {
			t.Fatal(err)
		}
		return string(list) + "\n" + attributes
	}
	junit := "reports {\n junit = [\"report.xml\"]\n }"
	for _, c := range []struct {
		name   string
		change func(*config)
		says   []string
	}{
		{"no such ref", func(c *config) { c.Release = `ref = "v9.9.9"` },
			[]string{"delivery_release.shop", "ref: ", "v9.9.9", "branch"}},
		{"no such commit", func(c *config) { c.Release = `ref = "` + strings.Repeat("0123456789", 4) + `"` },
			[]string{"delivery_release.shop", "ref: ", "0123456789"}},
		{"a repository that is not there", func(c *config) { c.URL = s.repo.Dir + "-gone" },
			[]string{"delivery_release.shop", "pipeline: ", s.repo.Dir + "-gone"}},
		{"a server that cannot be reached", func(c *config) { c.URL = "http://127.0.0.1:1/shop.git" },
			[]string{"delivery_release.shop", "pipeline: ", "http://127.0.0.1:1/shop.git", "cannot be reached", "Check the URL"}},
		{"stages in a circle", func(c *config) {
			c.Stage = stage("needs = [\"lint\"]\n }\n stage {\n name = \"lint\"\n needs = [\"test\"]\n commands = [\"true\"]", "true")
		}, []string{"delivery_pipeline.shop", "].needs: ", "in a circle: lint → test → lint"}},
		{"a need that no stage has", func(c *config) { c.Stage = stage(`needs = ["tset"]`, "true") },
			[]string{"delivery_pipeline.shop", "stage[0].needs: ", `there is no stage "tset"`}},
		{"a command that does not exist", func(c *config) { c.Stage = stage("", "no-such-linter --all") },
			[]string{"delivery_release.shop", "pipeline: ", `stage "test"`, `Install "no-such-linter"`, "No release was made"}},
		{"a report that is no JUnit", func(c *config) { c.Stage = stage(junit, "cp broken.xml report.xml") },
			[]string{"delivery_release.shop", "pipeline: ", `stage "test"`, "JUnit report report.xml cannot be read", "line 1", "No release was made"}},
		{"a report that is missing", func(c *config) { c.Stage = stage(junit, "true") },
			[]string{"delivery_release.shop", "pipeline: ", `stage "test"`, `no JUnit report that matches "report.xml"`, "No release was made"}},
		{"failing tests of a stage that ends well", func(c *config) { c.Stage = stage(junit, "cp cart.xml report.xml") },
			[]string{"delivery_release.shop", "pipeline: ", `stage "test"`, "Failing tests: tests.test_cart.test_total", "No release was made"}},
		{"failing tests of pytest", func(c *config) { c.Stage = stage(junit, "/usr/bin/python3 -m pytest -q --junitxml=report.xml") },
			[]string{"delivery_release.shop", "pipeline: ", `stage "test"`, "Failing tests: test_shop.test_price", "assert 3 == (2 + 2)", "No release was made"}},
	} {
		s.config = good
		c.change(&s.config)
		s.write()
		out := s.tf.ApplyFails()
		for _, text := range c.says {
			if !out.Says(text) {
				t.Errorf("%s: the message does not say %q:\n%s", c.name, text, out.Text())
			}
		}
		if after := s.everything(); after != before {
			t.Errorf("%s: before the failed apply:\n%s\nand after it:\n%s", c.name, before, after)
		}
	}
	s.config = good
	s.write()
	s.tf.Apply()
	if after := s.everything(); after != before {
		t.Errorf("mended, it is not as before:\n%s\nbut:\n%s", before, after)
	}
	s.tf.NoChanges()
}

// A store that cannot take the release is an error at the release, which names
// the store and what to do, and nothing is deployed.
func TestTroubleWithStores(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store func(*testing.T) (store, more string)
		says  []string
	}{
		"a directory that is a file": {func(t *testing.T) (string, string) {
			path := filepath.Join(t.TempDir(), "store")
			if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			return path, ""
		}, []string{"not a directory", "name another directory in the provider's store"}},
		"a directory that cannot be written": {func(*testing.T) (string, string) { return "/proc/delivery/store", "" },
			[]string{"cannot write", "the rights of whoever runs Terraform"}},
		"a registry that takes nothing": {func(t *testing.T) (string, string) {
			return testrig.NewRegistry(t, testrig.ReadOnly()).Host + "/apps", ""
		}, []string{"cannot write", "405", "it is read-only"}},
		"a registry that wants a login": {func(t *testing.T) (string, string) {
			return testrig.NewRegistry(t, testrig.RegistryLogin("ci", "right-Pa55word")).Host + "/apps", ""
		}, []string{"401", "Give the provider a registry block", "right to pull"}},
		"a registry that refuses the login": {func(t *testing.T) (string, string) {
			host := testrig.NewRegistry(t, testrig.RegistryLogin("ci", "right-Pa55word")).Host
			return host + "/apps", fmt.Sprintf("registry {\n host = %q\n username = \"ci\"\n password = \"wrong-Pa55word\"\n }", host)
		}, []string{"401", "Check the username and the password of the provider's registry block", "right to pull"}},
		"a registry that is not there": {func(*testing.T) (string, string) { return "127.0.0.1:1/apps", "" },
			[]string{"connection refused", "is up and can be reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 1)
			store, more := c.store(t)
			s.Provider = "store = \"" + store + "\"\n" + more
			s.write()
			before := s.fleet.Hosts[0].Exec(t, "find /srv")
			out := s.tf.ApplyFails()
			host, _, _ := strings.Cut(store, "/apps")
			out.MustSay(t, append(c.says, "delivery_release.shop", "pipeline: The store cannot be used", host)...)
			out.MustNotSay(t, "Pa55word", "panic")
			if s.tf.Has("delivery_release.shop") || s.tf.Has("delivery_deployment.api") {
				t.Error("the state has what was not made")
			}
			if after := s.fleet.Hosts[0].Exec(t, "find /srv"); after != before {
				t.Errorf("the failed apply left something on the host:\n%s", after)
			}
			if filepath.IsAbs(store) {
				if content, err := os.ReadFile(store); err == nil && string(content) != "mine" {
					t.Errorf("the file in the store's place has become %q", content)
				}
			}
			s.Provider = ""
			s.write()
			s.tf.Apply()
			s.answers("v1")
		})
	}
}
