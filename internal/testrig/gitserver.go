// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"crypto/subtle"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A GitServer serves repositories over HTTP, by git's own http-backend, to
// those who know its token.
type GitServer struct {
	URL      string // http://127.0.0.1:port
	Host     string // 127.0.0.1:port
	Username string
	Token    string // wanted as the basic authentication's password; "" lets everybody in

	t        testing.TB
	backend  string
	mu       sync.Mutex
	repos    map[string]http.Handler
	requests []string
	down     atomic.Bool
}

// NewGitServer starts a server. With a token every request must carry it.
func NewGitServer(t testing.TB, token string) *GitServer {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("ask git where its programs are: %v", err)
	}
	s := &GitServer{
		Username: "ci", Token: token, t: t, repos: map[string]http.Handler{},
		backend: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL, s.Host = server.URL, strings.TrimPrefix(server.URL, "http://")
	return s
}

// Serve publishes a repository under a name such as "shop.git" and returns
// its URL, without credentials.
func (s *GitServer) Serve(r *GitRepo, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[name] = &cgi.Handler{
		Path: s.backend,
		Root: "/" + name,
		Dir:  r.Dir,
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Join(r.Dir, ".git"), "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		},
		InheritEnv: []string{"PATH"},
	}
	return s.URL + "/" + name
}

// SetDown makes the server answer 503 to everything, or work again.
func (s *GitServer) SetDown(down bool) { s.down.Store(down) }

// Requests lists what was asked, as "METHOD /path".
func (s *GitServer) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func (s *GitServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	repo := s.repos[name]
	s.mu.Unlock()
	_, password, _ := r.BasicAuth()
	switch {
	case s.down.Load():
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	case s.Token != "" && subtle.ConstantTimeCompare([]byte(password), []byte(s.Token)) != 1:
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case repo == nil:
		http.NotFound(w, r)
	default:
		repo.ServeHTTP(w, r)
	}
}
