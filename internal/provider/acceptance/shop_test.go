// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// appPort is where the application of the tests answers, on every host.
const appPort = 8000

// app is the application: it answers with its version, with 500 on /healthz when
// that version is a bad one, and with 503 on /ready while its host is drained.
const app = `import http.server, os, sys
version = open("VERSION").read().strip()
if version.startswith("dies"):
    print("cannot start: the database schema is too old", flush=True)
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        bad = version.startswith("bad") or os.environ.get("MODE") == "broken"
        drained = self.path == "/ready" and os.path.exists("/srv/drained")
        self.send_response(500 if bad and self.path == "/healthz" else 503 if drained else 200)
        self.end_headers()
        self.wfile.write((version + " " + os.environ.get("MODE", "") + " " + os.environ.get("TOKEN", "")).encode())
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
Server(("0.0.0.0", 8000), Handler).serve_forever()
`

// shop is one user: a repository with an application, hosts, and a
// configuration that ships the one to the other.
type shop struct {
	t     testing.TB
	repo  *testrig.GitRepo
	fleet *testrig.Fleet
	tf    *testrig.Terraform
	config
}

// config is what the tests vary of the configuration.
type config struct {
	Hosts      string // value of hosts; all of the fleet by default
	SSH        string // the provider's ssh block
	Provider   string // more of the provider block
	Path       string
	Target     string // more of the deployment's ssh block
	Service    string // the service block, or nothing
	Deployment string // more of the deployment
	Rolling    string
	Strategy   string // the inside of the strategy block; rolling by default
	Health     string
	Stage      string // commands of the stage test, as HCL
	Release    string // more of the release
	ReleaseID  string
	Name       string
	More       string // more of the configuration
	URL        string
}

const configuration = `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

provider "delivery" {
  {{.SSH}}
  {{.Provider}}
}

resource "delivery_pipeline" "shop" {
  name = "shop"
  source {
    git {
      url = "{{.URL}}"
    }
  }
  stage {
    name     = "test"
    commands = {{.Stage}}
  }
  artifact {
    include = ["**"]
  }
}

resource "delivery_release" "shop" {
  pipeline = delivery_pipeline.shop.json
  {{.Release}}
}

resource "delivery_deployment" "api" {
  name        = "{{.Name}}"
  environment = "production"
  release_id  = {{.ReleaseID}}
  ssh {
    hosts = {{.Hosts}}
    path  = "{{.Path}}"
    {{.Service}}
    {{.Target}}
  }
  strategy {
    {{if .Strategy}}{{.Strategy}}{{else}}rolling {
      {{.Rolling}}
    }{{end}}
  }
  {{.Health}}
  {{.Deployment}}
}
{{.More}}
`

const healthCheck = `health_check {
    interval         = "100ms"
    healthy_deadline = "20s"
    http {
      port = 8000
      path = "/healthz"
    }
  }`

// newShop makes n hosts and a repository with a first good version.
func newShop(t *testing.T, n int, options ...testrig.FleetOption) *shop {
	t.Helper()
	s := &shop{t: t, repo: testrig.NewGitRepo(t), fleet: testrig.NewFleet(t, n, options...), tf: testrig.NewTerraform(t)}
	s.config = config{
		Hosts:     s.fleet.HostsHCL(),
		SSH:       s.fleet.HCL(),
		Path:      "/srv/api",
		Service:   "service {\n      command = \"exec python3 app.py\"\n      stop_timeout = \"2s\"\n    }",
		Health:    healthCheck,
		Stage:     `["test -f app.py"]`,
		Release:   `ref = "main"`,
		ReleaseID: "delivery_release.shop.id",
		Name:      "api",
		URL:       s.repo.Dir,
	}
	s.repo.Write("app.py", app)
	s.commit("v1")
	return s
}

// commit makes a version of the application and returns its commit.
func (s *shop) commit(version string) string {
	s.t.Helper()
	return s.repo.Commit("Version "+version, map[string]string{"VERSION": version + "\n"})
}

// write writes the configuration as it stands.
func (s *shop) write() {
	s.t.Helper()
	s.tf.Write("main.tf", s.render(s.config))
}

func (s *shop) render(c config) string {
	s.t.Helper()
	var b strings.Builder
	if err := template.Must(template.New("").Parse(configuration)).Execute(&b, c); err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

// answer is what the application on a host says; "" when it does not answer.
func (s *shop) answer(h *testrig.Host) string {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("http://%s:%d/", h.IP, appPort))
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// answers fails the test unless every host says want.
func (s *shop) answers(want string, hosts ...*testrig.Host) {
	s.t.Helper()
	if len(hosts) == 0 {
		hosts = s.fleet.Hosts
	}
	for _, h := range hosts {
		if got := s.answer(h); got != want {
			s.t.Errorf("%s answers %q, not %q", h.Name, got, want)
		}
	}
}

// deployment is the state of the deployment.
func (s *shop) deployment() map[string]any { return s.tf.Resource("delivery_deployment.api") }

// instance is one member of its attribute instances.
func instance(values map[string]any, name string) map[string]any {
	instances, _ := values["instances"].(map[string]any)
	one, _ := instances[name].(map[string]any)
	return one
}

// runs fails the test unless the state says that these hosts run a release
// that ends with the version, healthily.
func (s *shop) runs(release string, names ...string) {
	s.t.Helper()
	values := s.deployment()
	if len(names) == 0 {
		for _, h := range s.fleet.Hosts {
			names = append(names, h.Name)
		}
	}
	for _, name := range names {
		i := instance(values, name)
		if i["release"] != release || i["health"] != "healthy" {
			s.t.Errorf("the state says of %s: %v; want release %s, healthy", name, i, release)
		}
	}
}

func (s *shop) releaseID() string {
	s.t.Helper()
	return s.tf.Resource("delivery_release.shop")["id"].(string)
}
