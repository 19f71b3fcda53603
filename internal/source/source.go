// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package source reads what a pipeline is made from: a commit of a Git
// repository, or a directory. It resolves references, lists commits and
// brings exactly one commit's files into a directory. Git is spoken by the git
// client (2.31 or later); an ssh client is needed for SSH URLs only.
//
// What it promises about credentials: they are never in a command line, in a
// URL, in Git configuration on disk or in an error. A token reaches git
// through a credential helper that reads the child's environment, and only for
// the host it belongs to, also after a redirect. A private key is a 0600 file
// that exists while one git command runs.
package source

import (
	"context"
	"os"
	"time"
)

// Git names a repository, as a pipeline's definition holds it.
type Git struct {
	URL        string // https, http, ssh, git, file, user@host:path or a local path
	Path       string // sub-directory, slash-separated; "" is all
	Submodules bool   // fetch submodules at their pinned commits; without it they are refused
}

// Directory names a directory, as a pipeline's definition holds it.
type Directory struct {
	Path string
}

// Credentials are what one Git host accepts.
type Credentials struct {
	Host       string // "git.acme.io", or with a port "git.acme.io:2222"
	Username   string // with Token: default "x-access-token"; with PrivateKey: used when the URL names no user
	Token      string // password for https
	PrivateKey string // for SSH, without a passphrase
	KnownHosts string // known_hosts lines for SSH; default: the user's own file
}

// RefKind says what a reference turned out to be.
type RefKind string

// The kinds of reference.
const (
	RefBranch RefKind = "branch"
	RefTag    RefKind = "tag"
	RefCommit RefKind = "commit"
)

// Description places a commit among version tags (vX.Y.Z).
type Description struct {
	Tag      string `json:"tag,omitempty"`      // nearest version tag that the commit contains; "" when there is none
	Distance int    `json:"distance,omitempty"` // commits since Tag, or all commits without one
	Exact    bool   `json:"exact,omitempty"`    // Tag is on this very commit
}

// Commit is one line of a log.
type Commit struct {
	SHA     string    `json:"sha"`
	Author  string    `json:"author"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"` // of the commit, in UTC
}

// Repository is a Git repository that was opened. It is safe for concurrent
// use. Nothing is fetched before it is asked for, and nothing twice.
type Repository struct {
	git         Git
	url         string // absolute, without credentials
	credentials []Credentials
	dir         string // private; removed by Close
	local       bool   // url is a path on this machine or a file URL
	history     *store
	trees       *store
}

// OpenGit opens a repository: a private temporary place is made, and nothing
// is fetched yet. The caller closes it.
func OpenGit(ctx context.Context, git Git, credentials []Credentials) (*Repository, error) {
	return open(ctx, git, credentials)
}

// Close removes everything that was fetched.
func (r *Repository) Close() error {
	return os.RemoveAll(r.dir)
}
