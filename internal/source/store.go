// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// fetchTimeout bounds one fetch; the context may be shorter.
const fetchTimeout = 30 * time.Minute

func open(_ context.Context, git Git, credentials []Credentials) (*Repository, error) {
	at, err := parseURL(git.URL)
	if err != nil {
		return nil, err
	}
	if err := checkPath(git.Path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "delivery-git-")
	if err != nil {
		return nil, errorf(Failed, "Check TMPDIR", "make a temporary directory: %v", err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return newRepository(dir, at, git, credentials), nil
}

func newRepository(dir string, at location, git Git, credentials []Credentials) *Repository {
	return &Repository{
		git: git, url: at.url, credentials: credentials, dir: dir, local: at.local(),
		history: &store{dir: filepath.Join(dir, "history.git")},
		trees:   &store{dir: filepath.Join(dir, "trees.git")},
	}
}

// store is a bare repository that takes what is fetched. History without files
// and files without history are kept apart: git takes a commit that it has for
// one that it has whole.
type store struct {
	dir     string
	mu      sync.Mutex
	format  string          // object format it was made with; "" before that
	fetched map[string]bool // commits
}

// fetch brings a commit into the store, once. The arguments say how much of
// it; a server that cannot give so little is asked for all.
func (r *Repository) fetch(ctx context.Context, s *store, commit string, args ...string) error {
	if !isSHA(commit) {
		return errorf(Invalid, "", "%q is not a commit's full hash", commit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched[commit] {
		return nil
	}
	if err := r.initialize(ctx, s, commit); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	what := fmt.Sprintf("fetch commit %.12s", commit)
	err := r.fetchInto(ctx, s, what, nil, append(args, "origin", commit)...)
	var failure *Error
	if errors.As(err, &failure) && failure.Kind == Failed { // a server that serves branches and tags only, or nothing shallow
		if err := r.restart(ctx, s, commit); err != nil {
			return err
		}
		err = r.fetchInto(ctx, s, what, nil, "origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
	}
	if err != nil {
		return err
	}
	if !r.has(ctx, s, commit) {
		return errorf(NoSuchRef, "Check that it was pushed", "%s has no commit %s", r.url, commit)
	}
	s.fetched[commit] = true
	return nil
}

func (r *Repository) fetchInto(ctx context.Context, s *store, what string, stdin io.Reader, args ...string) error {
	all := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-auto-maintenance"}
	if r.local && runtime.GOOS != "windows" {
		// A repository on this machine is served by a git of our own making,
		// so it can be told to serve parts.
		all = append(all, "--upload-pack=git -c uploadpack.allowFilter=true -c uploadpack.allowAnySHA1InWant=true upload-pack")
	}
	return r.run(ctx, command{what: what, online: true, dir: s.dir, stdin: stdin, env: []string{"GIT_DIR=" + s.dir}, args: append(all, args...)})
}

// restart makes a store anew: what a server that cannot serve parts gives must
// not fall into a repository that expects parts, where git would ask for each
// missing object alone.
func (r *Repository) restart(ctx context.Context, s *store, commit string) error {
	if err := os.RemoveAll(s.dir); err != nil {
		return errorf(Failed, "", "prepare to fetch from %s: %v", r.url, err)
	}
	s.format = ""
	return r.initialize(ctx, s, commit)
}

func (r *Repository) initialize(ctx context.Context, s *store, commit string) error {
	format := "sha1"
	if len(commit) == 64 {
		format = "sha256"
	}
	if s.format == format {
		return nil
	}
	if s.format != "" {
		return errorf(NoSuchRef, "", "%s has no commit %s: its hashes are of another kind", r.url, commit)
	}
	what := "prepare to fetch from"
	if err := r.run(ctx, command{what: what, args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=" + format, s.dir}}); err != nil {
		return err
	}
	if err := r.run(ctx, command{what: what, args: []string{"--git-dir=" + s.dir, "config", "remote.origin.url", r.url}}); err != nil {
		return err
	}
	s.format, s.fetched = format, map[string]bool{}
	return nil
}

// has says whether the store holds a commit itself.
func (r *Repository) has(ctx context.Context, s *store, commit string) bool {
	return r.run(ctx, command{what: "look up " + commit, args: []string{"--git-dir=" + s.dir, "cat-file", "-e", commit + "^{commit}"}}) == nil
}

// offline runs git on a store and gives what it printed.
func (r *Repository) offline(ctx context.Context, s *store, limit int, what string, args ...string) (string, error) {
	out, err := r.output(ctx, limit, command{what: what, args: append([]string{"--git-dir=" + s.dir}, args...)})
	return strings.TrimSuffix(string(out), "\n"), err
}
