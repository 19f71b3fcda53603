// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A GitRepo is a repository with a work tree, on branch main. Its commits have
// fixed authors and times, a minute apart, so the same steps give the same
// commits.
type GitRepo struct {
	Dir string // also its URL

	t     testing.TB
	clock time.Time
}

// NewGitRepo makes an empty repository. It serves partial clones and any
// commit, as the well-known hosts do.
func NewGitRepo(t testing.TB) *GitRepo {
	t.Helper()
	r := &GitRepo{Dir: filepath.Join(t.TempDir(), "repo"), t: t, clock: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)}
	if err := os.Mkdir(r.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Git("init", "--quiet", "--initial-branch=main")
	r.Git("config", "uploadpack.allowFilter", "true")
	r.Git("config", "uploadpack.allowAnySHA1InWant", "true")
	return r
}

// Write puts a file into the work tree; a script (it begins with #!) may be
// executed.
func (r *GitRepo) Write(path, content string) {
	r.t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	writeFile(r.t, filepath.Join(r.Dir, path), content, mode)
}

// Commit writes files by path, commits everything in the work tree and returns
// the commit's hash. Without files the commit may be empty.
func (r *GitRepo) Commit(message string, files map[string]string) string {
	r.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		r.Write(path, files[path])
	}
	r.Git("add", "--all")
	r.clock = r.clock.Add(time.Minute)
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	return r.Head()
}

// Remove deletes a file from the work tree, for the next Commit.
func (r *GitRepo) Remove(path string) {
	r.t.Helper()
	if err := os.RemoveAll(filepath.Join(r.Dir, path)); err != nil {
		r.t.Fatal(err)
	}
}

// Tag puts an annotated tag on the commit that is checked out.
func (r *GitRepo) Tag(name string) {
	r.t.Helper()
	r.Git("tag", "--annotate", "--message", name, name)
}

// Branch makes a branch here and checks it out.
func (r *GitRepo) Branch(name string) {
	r.t.Helper()
	r.Git("checkout", "--quiet", "-b", name)
}

// Checkout goes to a branch, tag or commit.
func (r *GitRepo) Checkout(ref string) {
	r.t.Helper()
	r.Git("checkout", "--quiet", ref)
}

// Head is the hash of the commit that is checked out.
func (r *GitRepo) Head() string {
	r.t.Helper()
	return r.Git("rev-parse", "HEAD")
}

// Git runs any git command in the repository and returns what it printed,
// without the last newline.
func (r *GitRepo) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.Dir
	date := r.clock.Format(time.RFC3339)
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ada Tester", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=Ada Tester", "GIT_COMMITTER_EMAIL=ada@example.org", "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// SSHURL is the repository's address on a [Loopback] host.
func (r *GitRepo) SSHURL(f *Fleet) string {
	h := f.Hosts[0]
	return fmt.Sprintf("ssh://%s@%s:%d%s", f.User, h.IP, h.Port, r.Dir)
}
