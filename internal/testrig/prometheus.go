// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Prometheus is Debian's, scraping every second.
type Prometheus struct {
	URL string

	t      testing.TB
	dir    string
	server *daemon // nil while it is stopped
}

// NewPrometheus starts a server that scrapes /metrics of some addresses
// (host:port) as the job "app".
func NewPrometheus(t testing.TB, targets ...string) *Prometheus {
	t.Helper()
	p := &Prometheus{URL: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), t: t, dir: t.TempDir()}
	config, err := json.Marshal(map[string]any{ // which is YAML too
		"global": map[string]string{"scrape_interval": "1s", "scrape_timeout": "1s"},
		"scrape_configs": []any{map[string]any{
			"job_name": "app", "static_configs": []any{map[string]any{"targets": targets}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(p.dir, "prometheus.yml"), string(config), 0o600)
	t.Cleanup(func() {
		if p.server != nil {
			p.server.kill()
			p.server.showOnFailure(t, "prometheus")
		}
	})
	p.Start()
	return p
}

// Start starts a server that was stopped, with what it knew.
func (p *Prometheus) Start() {
	p.t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		p.t.Fatalf("this test starts Prometheus: %v. Run \"make tools\", or install prometheus", err)
	}
	cmd := exec.Command(program,
		"--config.file="+filepath.Join(p.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(p.dir, "data"),
		"--web.listen-address="+strings.TrimPrefix(p.URL, "http://"))
	if p.server, err = startDaemon(cmd, "Server is ready to receive web requests"); err != nil {
		p.t.Fatalf("start prometheus: %v", err)
	}
}

// Stop kills the server: nobody answers at its URL.
func (p *Prometheus) Stop() {
	p.server.kill()
	p.server = nil
}

// Await returns when an expression gives a series.
func (p *Prometheus) Await(expr string) {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		answer, err := p.query(expr)
		if err == nil && len(answer) > 0 {
			return
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			p.t.Fatalf("prometheus has nothing for %s within %s: %v", expr, patience, err)
		}
	}
}

// query gives the series of a vector.
func (p *Prometheus) query(expr string) ([]json.RawMessage, error) {
	res, err := http.Get(p.URL + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s", answer.Error)
	}
	return answer.Data.Result, nil
}

// NewMetrics serves what an application reports of itself, in Prometheus's text
// format, at /metrics of the address that it returns. report is called for each
// scrape.
func NewMetrics(t testing.TB, report func() string) (address string) {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, report())
	}))
	t.Cleanup(app.Close)
	return strings.TrimPrefix(app.URL, "http://")
}
