// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package examples runs every example as its readers would: with real
// Terraform, and real hosts.
package examples

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// guestbook is the flask-ssh example with hosts and a repository.
type guestbook struct {
	t     *testing.T
	fleet *testrig.Fleet
	repo  *testrig.GitRepo
	tf    *testrig.Terraform
	vars  map[string]any
}

func newGuestbook(t *testing.T) *guestbook {
	t.Helper()
	g := &guestbook{t: t, fleet: testrig.NewFleet(t, 3), repo: testrig.NewGitRepo(t), tf: testrig.NewTerraform(t)}
	if err := os.CopyFS(g.repo.Dir, os.DirFS("flask-ssh/app")); err != nil {
		t.Fatal(err)
	}
	g.repo.Commit("A guest book", nil)
	g.repo.Tag("v1.0.0")
	for _, name := range []string{"main.tf", "variables.tf"} {
		content, err := os.ReadFile(filepath.Join("flask-ssh", name))
		if err != nil {
			t.Fatal(err)
		}
		g.tf.Write(name, string(content))
	}
	hosts := map[string]string{}
	for _, h := range g.fleet.Hosts {
		hosts[h.Name] = h.Address
	}
	g.tf.Setenv("TF_VAR_private_key", g.fleet.Key.Private)
	g.set(map[string]any{
		"repository": g.repo.Dir, "hosts": hosts, "user": g.fleet.User, "known_hosts_file": g.fleet.KnownHostsFile,
		"python": "/usr/bin/python3", "venv_options": "--system-site-packages", "min_healthy_time": "500ms",
		"healthy_deadline": "8s",
	})
	return g
}

func (g *guestbook) set(vars map[string]any) {
	g.t.Helper()
	if g.vars == nil {
		g.vars = map[string]any{}
	}
	for name, value := range vars {
		g.vars[name] = value
	}
	content, err := json.Marshal(g.vars)
	if err != nil {
		g.t.Fatal(err)
	}
	g.tf.Write("terraform.tfvars.json", string(content))
}

// edit replaces a text in a file of the repository.
func (g *guestbook) edit(name, from, to string) {
	g.t.Helper()
	content, err := os.ReadFile(filepath.Join(g.repo.Dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	if !strings.Contains(string(content), from) {
		g.t.Fatalf("%s does not contain %q", name, from)
	}
	g.repo.Write(name, strings.Replace(string(content), from, to, 1))
}

// page is what a host's front page says.
type page struct {
	Greeting   string
	Version    string
	Signatures []string
}

var browser = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func address(h *testrig.Host, path string) string { return fmt.Sprintf("http://%s:8000%s", h.IP, path) }

func (g *guestbook) read(h *testrig.Host) (page, error) {
	answer, err := browser.Get(address(h, "/"))
	if err != nil {
		return page{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return page{}, err
	}
	if answer.StatusCode != http.StatusOK {
		return page{}, fmt.Errorf("%s: %s", answer.Status, body)
	}
	var p page
	return p, json.Unmarshal(body, &p)
}

// everywhere fails the test unless every host greets so, with that version.
func (g *guestbook) everywhere(greeting, version string) {
	g.t.Helper()
	for _, h := range g.fleet.Hosts {
		switch p, err := g.read(h); {
		case err != nil:
			g.t.Errorf("%s: %v", h.Name, err)
		case p.Greeting != greeting || p.Version != version:
			g.t.Errorf("%s says %q, version %s; want %q, %s", h.Name, p.Greeting, p.Version, greeting, version)
		}
	}
}

func TestFlaskOnThreeHosts(t *testing.T) {
	t.Parallel()
	g := newGuestbook(t)
	first := g.fleet.Hosts[0]

	g.tf.Apply().MustSay(t, "Apply complete!")
	g.everywhere("Welcome", "1.0.0")
	checks := g.tf.Resource("delivery_release.guestbook")["checks"].(map[string]any)["test"].(map[string]any)
	if checks["status"] != "passed" || checks["tests"] != float64(7) {
		t.Errorf("the tests are %v", checks)
	}
	g.tf.NoChanges()

	answer, err := browser.PostForm(address(first, "/sign"), url.Values{"name": {"Ada"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()

	g.edit("VERSION", "1.0.0", "1.1.0")
	g.repo.Commit("Nothing but a version", nil)
	g.repo.Tag("v1.1.0")
	g.tf.Plan().MustSay(t, "guestbook:1.0.0", "guestbook:1.1.0", "app-1", "app-2", "app-3")
	outages := watch(g.fleet.Hosts)
	g.tf.Apply()
	if most := outages.stop(); most > 1 {
		t.Errorf("%d hosts were down at the same time", most)
	}
	g.everywhere("Welcome", "1.1.0")
	if p, err := g.read(first); err != nil || len(p.Signatures) != 1 || p.Signatures[0] != "Ada" {
		t.Errorf("after the update the signatures are %v, %v", p.Signatures, err)
	}

	g.set(map[string]any{"greeting": "Bonjour"})
	g.tf.Apply()
	g.everywhere("Bonjour", "1.1.0")

	g.edit("app.py", "signatures()  # unreadable", "signatures().index(\"nobody\")  # unreadable")
	g.repo.Remove("tests")
	g.repo.Commit("A version that is never healthy, and without the test that would say so", nil)
	g.repo.Write("tests/test_nothing.py", "def test_nothing():\n    pass\n")
	g.repo.Commit("An empty test", nil)
	g.tf.ApplyFails().MustSay(t, "app-1", "500")
	g.everywhere("Bonjour", "1.1.0")

	g.repo.Write("tests/test_broken.py", "def test_the_truth():\n    assert 1 == 2\n")
	g.repo.Commit("A test that fails", nil)
	g.tf.ApplyFails().MustSay(t, "test_the_truth")
	g.everywhere("Bonjour", "1.1.0")

	g.tf.Destroy()
	for _, h := range g.fleet.Hosts {
		if _, err := g.read(h); err == nil {
			t.Errorf("%s still answers", h.Name)
		}
		want := ""
		if h == first { // signatures are kept: only their owner can say whether they may go
			want = "/srv/guestbook/shared/book/signatures.jsonl\n"
		}
		if left := h.Exec(t, "find /srv -type f -o -type l"); left != want {
			t.Errorf("on %s is left: %s", h.Name, left)
		}
	}
}
