// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// Bounds of what a server may list.
const (
	maxRefsBytes = 64 << 20
	maxRefName   = 1024
	headsTimeout = time.Minute
)

// Refs are a repository's branches and tags with their commits.
type Refs struct {
	Branches map[string]string `json:"branches,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`   // annotated ones peeled
	Sum      string            `json:"digest,omitempty"` // of all, when only some are here
}

// Heads asks the repository for its branches and tags: one round trip, nothing
// is fetched.
func (r *Repository) Heads(ctx context.Context) (Refs, error) {
	ctx, cancel := context.WithTimeout(ctx, headsTimeout)
	defer cancel()
	out, in := io.Pipe()
	parsed := make(chan error, 1)
	var refs Refs
	go func() {
		var err error
		refs, err = parseRefs(out)
		_ = out.CloseWithError(err) // with nil, a write after the end is an error as well
		parsed <- err
	}()
	err := r.run(ctx, command{
		what: "list the branches and tags", online: true, stdout: in,
		args: []string{"ls-remote", "--heads", "--tags", "--", r.url},
	})
	_ = in.Close()
	if failure := <-parsed; failure != nil {
		return Refs{}, failure
	}
	if err != nil {
		return Refs{}, err
	}
	return refs, nil
}

// parseRefs reads the output of ls-remote.
func parseRefs(r io.Reader) (Refs, error) {
	refs := Refs{Branches: map[string]string{}, Tags: map[string]string{}}
	lines := bufio.NewScanner(io.LimitReader(r, maxRefsBytes+1))
	total := 0
	for lines.Scan() {
		line := lines.Text()
		if total += len(line) + 1; total > maxRefsBytes {
			return Refs{}, errorf(Failed, "", "the repository lists more than %d MiB of branches and tags", maxRefsBytes>>20)
		}
		sha, name, ok := strings.Cut(line, "\t")
		if !ok || !isSHA(sha) {
			return Refs{}, errorf(Failed, "", "the repository answered with a line that names no commit: %.80q", line)
		}
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok && goodName(branch) {
			refs.Branches[branch] = sha
		} else if tag, ok := strings.CutPrefix(name, "refs/tags/"); ok {
			peeled, isPeeled := strings.CutSuffix(tag, "^{}")
			if _, seen := refs.Tags[peeled]; goodName(peeled) && (isPeeled || !seen) {
				refs.Tags[peeled] = sha
			}
		}
	}
	if err := lines.Err(); err != nil {
		return Refs{}, errorf(Failed, "", "read the list of branches and tags: %v", err)
	}
	return refs, nil
}

func goodName(name string) bool {
	return name != "" && len(name) <= maxRefName && !strings.ContainsFunc(name, unicode.IsControl)
}

// Resolve says which commit a reference stands for. It may be a branch, a tag,
// refs/heads/… or refs/tags/…, or a commit's full hash, which is taken as it
// is. A name that is both a branch and a tag with different commits is
// refused, and so are abbreviated hashes: both could mean something else
// tomorrow.
func (r Refs) Resolve(ref string) (commit string, kind RefKind, err error) {
	if err := checkRef(ref); err != nil {
		return "", "", err
	}
	if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		return one(r.Branches, name, RefBranch, ref)
	}
	if name, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return one(r.Tags, name, RefTag, ref)
	}
	if isSHA(ref) {
		return ref, RefCommit, nil
	}
	tag, isTag := r.Tags[ref]
	branch, isBranch := r.Branches[ref]
	switch {
	case isTag && isBranch && tag != branch:
		return "", "", errorf(Invalid, fmt.Sprintf("Write refs/heads/%s or refs/tags/%s", ref, ref),
			"%q is a branch (%.12s) and a tag (%.12s)", ref, branch, tag)
	case isTag:
		return tag, RefTag, nil
	case isBranch:
		return branch, RefBranch, nil
	}
	return "", "", r.noSuchRef(ref)
}

func one(from map[string]string, name string, kind RefKind, ref string) (string, RefKind, error) {
	if commit, ok := from[name]; ok {
		return commit, kind, nil
	}
	return "", "", errorf(NoSuchRef, "", "the repository has no %s %q", kind, ref)
}

var abbreviated = lazyregexp.New(`^[0-9a-f]{4,63}$`)

func (r Refs) noSuchRef(ref string) error {
	if ref == "HEAD" || ref == "@" {
		return errorf(NoSuchRef, "Name the branch, such as main", "%q stands for different branches in different repositories", ref)
	}
	if abbreviated.MatchString(strings.ToLower(ref)) {
		advice := "Write a commit with all of its 40 digits"
		for _, names := range []map[string]string{r.Branches, r.Tags} {
			for _, sha := range names {
				if strings.HasPrefix(sha, strings.ToLower(ref)) {
					advice += ", which may be " + sha
					return errorf(NoSuchRef, advice, "the repository has no branch or tag %q", ref)
				}
			}
		}
		return errorf(NoSuchRef, advice, "the repository has no branch or tag %q", ref)
	}
	advice := ""
	if names := slices.Sorted(maps.Keys(r.Branches)); len(names) > 0 {
		advice = "Its branches are " + strings.Join(names[:min(len(names), 5)], ", ")
		if len(names) > 5 {
			advice += fmt.Sprintf(" and %d more", len(names)-5)
		}
	}
	return errorf(NoSuchRef, advice, "the repository has no branch or tag %q", ref)
}

// Digest changes when any branch or tag appears, moves or goes.
func (r Refs) Digest() string {
	if r.Sum != "" {
		return r.Sum
	}
	h := sha256.New()
	for _, group := range []map[string]string{r.Branches, r.Tags} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			_, _ = fmt.Fprintf(h, "%s %s\n", group[name], name)
		}
		_, _ = io.WriteString(h, "\n")
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// For keeps only what ref needs to be resolved again, and the digest of all:
// small enough for state.
func (r Refs) For(ref string) Refs {
	small := Refs{Branches: map[string]string{}, Tags: map[string]string{}, Sum: r.Digest()}
	for _, prefix := range []string{"", "refs/heads/", "refs/tags/"} {
		name, ok := strings.CutPrefix(ref, prefix)
		if !ok {
			continue
		}
		if commit, ok := r.Branches[name]; ok {
			small.Branches[name] = commit
		}
		if commit, ok := r.Tags[name]; ok {
			small.Tags[name] = commit
		}
	}
	return small
}

var versionTag = lazyregexp.New(`^v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$`)

// VersionOf gives the version X.Y.Z of a tag vX.Y.Z; ok is false for any other.
func VersionOf(tag string) (version string, ok bool) {
	return strings.TrimPrefix(tag, "v"), versionTag.MatchString(tag)
}

var sha = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func isSHA(s string) bool { return sha.MatchString(s) }

// checkRef refuses what can be no reference, with git's own rules.
func checkRef(ref string) error {
	bad := ref == "" || len(ref) > maxRefName || strings.HasPrefix(ref, "-") || strings.HasPrefix(ref, "/") ||
		strings.HasSuffix(ref, "/") || strings.HasSuffix(ref, ".") || strings.HasSuffix(ref, ".lock") ||
		strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.Contains(ref, "//") ||
		strings.ContainsAny(ref, " ~^:?*[\\") || strings.ContainsFunc(ref, unicode.IsControl)
	if bad {
		return errorf(Invalid, "Write a branch, a tag, or a commit with all of its digits", "%q cannot be a reference", ref)
	}
	return nil
}
