// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package archive turns a directory into the archive of a release and back.
// The same files give the same bytes on any machine: entries are sorted, have
// one fixed time, belong to 0:0 and are 0755 or 0644, compressed by one fixed
// zstd encoder. Reading treats archives as hostile.
package archive

import (
	"context"
	"io"
	"time"
)

// Selection says which files of a directory go in: those that match a pattern
// of Include and none of Exclude. Patterns are those of package fileset; a
// pattern that matches a directory means all that is in it. What
// fileset.NeverIncluded names never goes in.
type Selection struct {
	Include []string // empty: all
	Exclude []string
}

// Summary describes an archive that was written.
type Summary struct {
	Digest       string // "sha256:" and the hex hash of the archive
	DiffID       string // the same of the tar inside, which survives a change of encoder
	Size         int64  // bytes of the archive
	UnpackedSize int64  // bytes of its files' contents
	Files        int    // files and symbolic links
}

// Limits bound what Unpack accepts.
type Limits struct {
	Bytes      int64 // of all files' contents; 0: 16 GiB
	Entries    int   // files, links and directories; 0: 1,000,000
	PathLength int   // bytes of a path; 0: 4096
}

// Epoch is the time of every entry. It is npm's choice: zip tools, which
// Python's packaging uses on deployed files, refuse years before 1980.
var Epoch = time.Date(1985, time.October, 26, 8, 15, 0, 0, time.UTC)

// Write writes the selected files of root to w. Directories come with what
// they hold; empty ones are left out, as in Git. A symbolic link is kept as it
// is when it stays inside root and refused when it does not; other special
// files are refused. Memory does not grow with the files.
func Write(ctx context.Context, w io.Writer, root string, selection Selection) (Summary, error) {
	return write(ctx, w, root, selection)
}

// Unpack reads an archive into dir, which must be empty or not exist. Nothing
// is written outside dir, whatever the archive says. After an error dir holds
// a part; its owner removes it.
func Unpack(ctx context.Context, r io.Reader, dir string, limits Limits) error {
	return unpack(ctx, r, dir, limits)
}
