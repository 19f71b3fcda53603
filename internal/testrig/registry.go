// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A Registry is Debian's docker-registry, behind a proxy that refuses what
// registries of other makes or with other rights refuse.
type Registry struct {
	Host     string // 127.0.0.1:port, as image references want it
	URL      string
	Username string // with RegistryLogin
	Password string

	rules    registryRules
	mu       sync.Mutex
	requests []string
}

// registryRules say what the proxy lets through.
type registryRules struct {
	pullOnly      bool
	immutableTags bool
	readOnly      bool
	username      string
	password      string
}

// RegistryOption changes what NewRegistry starts.
type RegistryOption func(*registryRules)

// RegistryLogin wants basic authentication for everything.
func RegistryLogin(username, password string) RegistryOption {
	return func(r *registryRules) { r.username, r.password = username, password }
}

// ImmutableTags refuses to give a tag another manifest.
func ImmutableTags() RegistryOption { return func(r *registryRules) { r.immutableTags = true } }

// ReadOnly starts the registry in its own read-only mode: writes are 405.
func ReadOnly() RegistryOption { return func(r *registryRules) { r.readOnly = true } }

// NewRegistry starts an empty registry.
func NewRegistry(t testing.TB, options ...RegistryOption) *Registry {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Fatalf("this test starts a registry: %v. Run \"make tools\", or install docker-registry", err)
	}
	r := &Registry{}
	for _, set := range options {
		set(&r.rules)
	}
	r.Username, r.Password = r.rules.username, r.rules.password
	dir := t.TempDir()
	port := freePort(t)
	config := filepath.Join(dir, "config.yml")
	writeFile(t, config, fmt.Sprintf(
		"version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: %q\n  delete:\n    enabled: true\n  maintenance:\n    readonly:\n      enabled: %t\nhttp:\n  addr: 127.0.0.1:%d\n",
		filepath.Join(dir, "data"), r.rules.readOnly, port), 0o600)
	server, err := startDaemon(exec.Command(program, "serve", config), "listening on")
	if err != nil {
		t.Fatalf("start docker-registry: %v", err)
	}
	backend := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	front := httptest.NewServer(r.guard(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(backend)
		p.Out.Host = p.In.Host // the registry builds its upload addresses from it
	}}))
	t.Cleanup(func() {
		front.Close()
		server.kill()
		server.showOnFailure(t, "docker-registry")
	})
	r.URL, r.Host = front.URL, strings.TrimPrefix(front.URL, "http://")
	return r
}

// SetPullOnly takes the right to write away, or gives it back: writes are
// answered 403 DENIED.
func (r *Registry) SetPullOnly(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules.pullOnly = on
}

// Requests lists what was asked, as "METHOD /path".
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

func (r *Registry) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, req.Method+" "+req.URL.Path)
		rules := r.rules
		r.mu.Unlock()
		username, password, _ := req.BasicAuth()
		writes := req.Method != http.MethodGet && req.Method != http.MethodHead
		switch {
		case rules.username != "" && !same(username+":"+password, rules.username+":"+rules.password):
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		case rules.pullOnly && writes:
			refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
		case rules.immutableTags && req.Method == http.MethodPut && tagIsTaken(next, req):
			refuse(w, http.StatusPreconditionFailed, "TAG_INVALID", "the tag exists and is immutable")
		default:
			next.ServeHTTP(w, req)
		}
	})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// tagIsTaken says whether a PUT is for the manifest of a tag that exists.
func tagIsTaken(registry http.Handler, put *http.Request) bool {
	_, reference, isManifest := strings.Cut(put.URL.Path, "/manifests/")
	if !isManifest || strings.Contains(reference, ":") {
		return false
	}
	head := put.Clone(put.Context())
	head.Method, head.Body, head.ContentLength = http.MethodHead, http.NoBody, 0
	head.Header = http.Header{"Accept": {
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
	}}
	answer := httptest.NewRecorder()
	registry.ServeHTTP(answer, head)
	return answer.Code == http.StatusOK
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
