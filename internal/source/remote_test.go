// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// dumb serves a repository's files.
func dumb(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

const token = "glpat-T0ken/with+odd=characters"

// watched is a Git server that looks, at every request, for the token in the
// command line of every process and in every file below a directory.
type watched struct {
	*testrig.GitServer
	url    string
	dir    string
	seen   atomic.Int32
	leaked atomic.Pointer[string]
}

func watch(t *testing.T, repo *testrig.GitRepo, dir string) *watched {
	t.Helper()
	w := &watched{GitServer: testrig.NewGitServer(t, token), dir: dir}
	w.Serve(repo, "shop.git")
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL + "/shop.git"
	return w
}

func (w *watched) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		if data, err := os.ReadFile(name); err == nil && bytes.Contains(data, []byte("glpat-T0ken")) {
			found := "the command line " + string(bytes.ReplaceAll(data, []byte{0}, []byte(" ")))
			w.leaked.Store(&found)
		}
	}
	_ = filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() { // what is gone by now is not looked at
			if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte("glpat-T0ken")) {
				w.leaked.Store(&path)
			}
		}
		return nil
	})
	w.seen.Add(1)
	w.GitServer.ServeHTTP(rw, r)
}

func host(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func TestATokenOpensAPrivateRepositoryAndIsNeverSeen(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	repo, one, _, three := history(t)
	server := watch(t, repo, temp)
	r := open(t, source.Git{URL: server.url}, source.Credentials{Host: host(server.url), Token: token})
	refs := heads(t, r)
	if got := checkout(t, r, one); got["app.txt"] != "one" {
		t.Errorf("%v", got)
	}
	if got, err := r.Describe(t.Context(), three, refs); err != nil || got.Distance != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if where := server.leaked.Load(); where != nil {
		t.Errorf("the token is in %s", *where)
	}
	if server.seen.Load() == 0 {
		t.Error("nobody looked")
	}
}

func TestAWrongTokenIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	repo, _, _, _ := history(t)
	server := testrig.NewGitServer(t, token)
	url := server.Serve(repo, "shop.git")
	_, err := open(t, source.Git{URL: url}, source.Credentials{Host: server.Host, Token: "wr0ng-token"}).Heads(t.Context())
	wantKind(t, err, source.Refused, "refused the credentials given for "+server.Host)
	if strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("it shows the token: %v", err)
	}
	_, err = open(t, source.Git{URL: url}).Heads(t.Context())
	wantKind(t, err, source.Refused, "none are given for "+server.Host)
	_, err = open(t, source.Git{URL: url}, source.Credentials{Host: "elsewhere.example", Token: token}).Heads(t.Context())
	wantKind(t, err, source.Refused, "none are given")
}

func TestATokenStaysWithItsHostAfterARedirect(t *testing.T) {
	t.Parallel()
	var told atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			told.Store(true)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="give"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(thief.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, thief.URL+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(front.Close)
	_, err := open(t, source.Git{URL: front.URL + "/shop.git"}, source.Credentials{Host: host(front.URL), Token: token}).Heads(t.Context())
	if err == nil || told.Load() {
		t.Errorf("the token went to another host (%v)", err)
	}
}

func TestAServerThatIsDownCannotBeReached(t *testing.T) {
	t.Parallel()
	repo, _, _, _ := history(t)
	server := testrig.NewGitServer(t, "")
	url := server.Serve(repo, "shop.git")
	server.SetDown(true)
	_, err := open(t, source.Git{URL: url}).Heads(t.Context())
	wantKind(t, err, source.Unreachable, "cannot be reached")
	server.SetDown(false)
	_, err = open(t, source.Git{URL: server.URL + "/nope.git"}).Heads(t.Context())
	wantKind(t, err, source.NotFound, "no such repository")
}

func TestAKeyOpensARepositoryOverSSH(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	repo, one, _, _ := history(t)
	fleet := testrig.NewFleet(t, 1, testrig.Loopback())
	h := fleet.Hosts[0]
	good := source.Credentials{Host: h.IP, PrivateKey: strings.TrimSpace(fleet.Key.Private), KnownHosts: fleet.KnownHosts}
	url := repo.SSHURL(fleet)
	r := open(t, source.Git{URL: url}, good)
	if got := checkout(t, r, one); got["app.txt"] != "one" {
		t.Errorf("%v", got)
	}
	if keys, _ := filepath.Glob(filepath.Join(temp, "*", "ssh-*")); len(keys) > 0 {
		t.Errorf("keys stayed: %v", keys)
	}
	unknown := good
	unknown.KnownHosts = strings.Replace(fleet.KnownHosts, h.IP, "192.0.2.1", 1)
	_, err := open(t, source.Git{URL: url}, unknown).Heads(t.Context())
	wantKind(t, err, source.Refused, "host key is not the known one")
	stranger := good
	stranger.PrivateKey = testrig.NewKeyPair(t, "").Private
	_, err = open(t, source.Git{URL: url}, stranger).Heads(t.Context())
	wantKind(t, err, source.Refused, "refused the credentials")
	locked := good
	locked.PrivateKey = testrig.NewKeyPair(t, "s3same").Private
	_, err = open(t, source.Git{URL: url}, locked).Heads(t.Context())
	wantKind(t, err, source.Invalid, "has a passphrase")
}

func TestSubmodulesComeOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	inner := testrig.NewGitRepo(t)
	pinned := inner.Commit("inner", map[string]string{"lib.txt": "pinned"})
	inner.Commit("newer", map[string]string{"lib.txt": "newer"})
	repo := testrig.NewGitRepo(t)
	server := testrig.NewGitServer(t, token)
	server.Serve(inner, "lib.git")
	url := server.Serve(repo, "shop.git")
	repo.Write(".gitmodules", "[submodule \"lib\"]\n\tpath = app/lib\n\turl = ../lib.git\n")
	repo.Write("app/main.txt", "main")
	repo.Git("add", ".")
	repo.Git("update-index", "--add", "--cacheinfo", "160000,"+pinned+",app/lib")
	repo.Git("commit", "--quiet", "--message", "with a submodule")
	commit := repo.Head()
	credentials := source.Credentials{Host: server.Host, Token: token}

	err := open(t, source.Git{URL: url}, credentials).Checkout(t.Context(), commit, t.TempDir())
	wantKind(t, err, source.Submodules, "submodules = true")
	for path, name := range map[string]string{"": "app/lib/lib.txt", "app": "lib/lib.txt"} {
		got := checkout(t, open(t, source.Git{URL: url, Path: path, Submodules: true}, credentials), commit)
		if got[name] != "pinned" {
			t.Errorf("in %q: %v", path, got)
		}
	}
}

func TestASubmoduleOfAServerMayNotBeALocalPath(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	server := testrig.NewGitServer(t, "")
	url := server.Serve(repo, "shop.git")
	for raw, kind := range map[string]source.Kind{"/etc": source.Submodules, "file:///etc": source.Submodules, "ext::sh -c true": source.Invalid} {
		repo.Write(".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = "+raw+"\n")
		repo.Git("add", ".gitmodules")
		repo.Git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",lib")
		repo.Git("commit", "--quiet", "--message", "hostile")
		err := open(t, source.Git{URL: url, Submodules: true}).Checkout(t.Context(), repo.Head(), t.TempDir())
		wantKind(t, err, kind, "submodule \"lib\"")
	}
}
