// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of history.
const (
	maxLog     = 1000 // commits that Log gives
	maxSubject = 200  // bytes
	candidates = 10   // version tags that Describe measures
)

// Describe finds the nearest version tag (vX.Y.Z) that a commit contains: the
// one with the fewest commits since. Of several equally near ones the highest
// version counts. Only commits are fetched, no files; on a tagged commit
// nothing is.
func (r *Repository) Describe(ctx context.Context, commit string, refs Refs) (Description, error) {
	byCommit := map[string]string{} // highest version tag on each commit
	for tag, tagged := range refs.Tags {
		if _, ok := VersionOf(tag); ok && (byCommit[tagged] == "" || newer(tag, byCommit[tagged])) {
			byCommit[tagged] = tag
		}
	}
	if tag := byCommit[commit]; tag != "" {
		return Description{Tag: tag, Exact: true}, nil
	}
	if err := r.fetchHistory(ctx, commit); err != nil {
		return Description{}, err
	}
	found, total, err := r.tagged(ctx, commit, byCommit)
	if err != nil {
		return Description{}, err
	}
	best := Description{Distance: total}
	for _, tagged := range found {
		tag := byCommit[tagged]
		distance, err := r.count(ctx, commit, tagged)
		if err != nil {
			return Description{}, err
		}
		if best.Tag == "" || distance < best.Distance || distance == best.Distance && newer(tag, best.Tag) {
			best = Description{Tag: tag, Distance: distance}
		}
	}
	return best, nil
}

// allDepth is git's word for "without limit". A server that only hands out
// files refuses any depth at once; without one git would complete the filtered
// fetch object by object, without end.
const allDepth = "--depth=2147483647"

func (r *Repository) fetchHistory(ctx context.Context, commit string) error {
	return r.fetch(ctx, r.history, commit, "--filter=tree:0", allDepth)
}

var errEnough = errors.New("enough was read")

// tagged walks the history of a commit, newest first, to the first tagged
// commits. total counts all commits when there is none.
func (r *Repository) tagged(ctx context.Context, commit string, tags map[string]string) (found []string, total int, err error) {
	out, in := io.Pipe()
	done := make(chan struct{})
	walk, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			total++
			if tags[lines.Text()] == "" {
				continue
			}
			if found = append(found, lines.Text()); len(found) == candidates {
				cancel(errEnough)
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	err = r.run(walk, command{what: "walk the history", stdout: in, args: []string{"--git-dir=" + r.history.dir, "rev-list", "--date-order", commit}})
	_ = in.Close()
	<-done
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, total, err
}

func (r *Repository) count(ctx context.Context, commit, since string) (int, error) {
	out, err := r.offline(ctx, r.history, 64, "count the commits", "rev-list", "--count", commit, "^"+since)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// newer compares version tags.
func newer(a, b string) bool {
	return slices.Compare(numbers(a), numbers(b)) > 0
}

func numbers(tag string) []int {
	version, _ := VersionOf(tag)
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part)
		list = append(list, n)
	}
	return list
}

// Log lists the commits that to has and from has not, newest first, at most
// limit (1 to 1000). When from is empty, unknown to the repository or has no
// history in common with to, it lists the last ones of to.
func (r *Repository) Log(ctx context.Context, from, to string, limit int) ([]Commit, error) {
	limit = min(max(limit, 1), maxLog)
	if err := r.fetchHistory(ctx, to); err != nil {
		return nil, err
	}
	args := []string{"log", "-z", "--encoding=UTF-8", "--no-color", "--no-show-signature", "--no-notes", "--no-mailmap",
		fmt.Sprintf("--max-count=%d", limit), "--format=%H%x00%an%x00%ct%x00%s", to}
	if r.related(ctx, from, to) {
		args = append(args, "^"+from)
	}
	out, err := r.offline(ctx, r.history, 64<<20, "list the commits", append(args, "--")...)
	if err != nil {
		return nil, err
	}
	return parseLog([]byte(out))
}

// related says whether two commits have history in common. A from that to does
// not contain may have been left by a return to an older commit: it is asked
// for, and if the server does not have it, it is unknown.
func (r *Repository) related(ctx context.Context, from, to string) bool {
	if !isSHA(from) || len(from) != len(to) {
		return false
	}
	if !r.has(ctx, r.history, from) && r.fetchHistory(ctx, from) != nil {
		return false
	}
	_, err := r.offline(ctx, r.history, 4096, "compare the histories", "merge-base", from, to)
	return err == nil
}

// parseLog reads fields that end in NUL: hash, author, time, subject.
func parseLog(out []byte) ([]Commit, error) {
	out = bytes.TrimSuffix(out, []byte{0})
	if len(out) == 0 {
		return nil, nil
	}
	fields := bytes.Split(out, []byte{0})
	if len(fields)%4 != 0 {
		return nil, errorf(Failed, "", "read git's log: it has %d fields, which is not a multiple of 4", len(fields))
	}
	commits := make([]Commit, 0, len(fields)/4)
	for f := range slices.Chunk(fields, 4) {
		seconds, err := strconv.ParseInt(string(f[2]), 10, 64)
		if err != nil || !isSHA(string(f[0])) {
			return nil, errorf(Failed, "", "read git's log: %.80q is not a commit with its time", f[0])
		}
		commits = append(commits, Commit{
			SHA:     string(f[0]),
			Author:  printable(string(f[1]), maxSubject),
			Subject: printable(string(f[3]), maxSubject),
			Time:    time.Unix(seconds, 0).UTC(),
		})
	}
	return commits, nil
}
