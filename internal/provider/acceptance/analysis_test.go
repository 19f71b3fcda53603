// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// countingApp is an application that is healthy by its own account, fails every
// other request when its version is a leaky one, and reports both.
const countingApp = `import http.server, os
version = open("VERSION").read().strip()
counts = {"requests": 0, "errors": 0}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 200, version
        if self.path == "/metrics":
            body = "".join('shop_%s_total{release="%s"} %d\n' % (k, os.environ["RELEASE"], n) for k, n in counts.items())
        elif self.path == "/":
            counts["requests"] += 1
            if version.startswith("leaky") and counts["requests"] % 2:
                counts["errors"] += 1
                status = 500
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
Server(("0.0.0.0", 8000), Handler).serve_forever()
`

const canaryWithAnalysis = `canary {
      step {
        instances = 1
        analysis  = ["errors"]
      }
      max_parallel = 2
    }`

const analyses = `
  analysis {
    name          = "errors"
    interval      = "1s"
    count         = 8
    failure_limit = 7 # time for a first scrape, since a bad ratio ends it at once
    success       = "<= 0.05"
    failure       = "> 0.05"
    no_data       = "fail"
    prometheus {
      address    = "%s"
      query      = "sum(shop_errors_total{release='{{version}}'}) / sum(shop_requests_total{release='{{version}}'})"
      headers_wo = { Authorization = "Bearer s3cret" }
    }
  }
  analysis {
    name    = "smoke"
    success = "== 1"
    no_data = "fail"
    command {
      command = "echo $DELIVERY_INSTANCES >> %s; echo 1"
    }
  }`

// A canary whose requests fail is taken back by what Prometheus saw, before any
// other host has it, though its health check passes.
func TestACanaryIsJudgedByPrometheus(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	s.repo.Write("app.py", countingApp)
	s.commit("v1")
	var addresses []string
	var seen sync.Map // "host answer"
	for _, h := range s.fleet.Hosts {
		addresses = append(addresses, net.JoinHostPort(h.IP, strconv.Itoa(appPort)))
		s.visit(h, &seen)
	}
	server := testrig.NewPrometheus(t, addresses...)
	smoke := filepath.Join(t.TempDir(), "smoke")
	s.Deployment = "environment_variables = { RELEASE = delivery_release.shop.version }"
	s.write()
	s.tf.Apply()

	s.Deployment += fmt.Sprintf(analyses, server.URL, smoke)
	s.writeWith(canaryWithAnalysis)
	s.commit("v2")
	s.tf.Apply()
	s.answers("v2")
	good := s.releaseID()
	if asked, err := os.ReadFile(smoke); err != nil || string(asked) != "app-1 app-2 app-3\n" {
		t.Errorf("the last gate asked about %q, %v", asked, err)
	}

	s.commit("leaky")
	out := s.tf.ApplyFails()
	out.MustSay(t, "delivery_deployment.api", `analysis "errors" does not hold: 0.`, "is > 0.05", "shop_errors_total{release=", server.URL, "does not hold 0.", "correct the conditions")
	out.MustNotSay(t, "s3cret")
	s.answers("v2")
	s.runs(good)
	if asked, _ := os.ReadFile(smoke); strings.Count(string(asked), "\n") != 1 {
		t.Errorf("a canary that failed came to the last gate: %q", asked)
	}

	for host, want := range map[string]bool{"app-1": true, "app-2": false, "app-3": false} {
		if _, had := seen.Load(host + " leaky"); had != want {
			t.Errorf("%s served the leaky version: %t", host, had)
		}
	}

	server.Stop()
	s.commit("v3")
	s.tf.ApplyFails().MustSay(t, "connection refused (8 failed measurements, 7 allowed)", "Nothing is known against the revision")
	s.answers("v2")
	s.runs(good)
}

// visit asks a host for its page over and over until the test ends, and notes
// what it has seen.
func (s *shop) visit(h *testrig.Host, seen *sync.Map) {
	ctx := s.t.Context()
	done := make(chan struct{})
	go func() {
		defer close(done)
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				seen.Store(h.Name+" "+s.answer(h), true)
			case <-ctx.Done():
				return
			}
		}
	}()
	s.t.Cleanup(func() { <-done })
}

// writeWith writes the configuration with another strategy.
func (s *shop) writeWith(strategy string) {
	s.t.Helper()
	text := s.render(s.config)
	begin := strings.Index(text, "rolling {")
	end := strings.Index(text[begin:], "}") + begin + 1
	s.tf.Write("main.tf", text[:begin]+strategy+text[end:])
}
