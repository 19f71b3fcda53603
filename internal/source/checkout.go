// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxTree bounds the listing of a commit's files, in bytes.
const maxTree = 256 << 20

// Checkout writes the files of a commit into dir, which must be empty or not
// exist: the sub-path's only, without .git. Several checkouts of one commit may
// run at the same time; its files are fetched once. A commit with submodules is
// refused unless they are asked for, and one with files in Git LFS always,
// since what Git itself holds of them is only a pointer.
func (r *Repository) Checkout(ctx context.Context, commit, dir string) error {
	return r.checkout(ctx, commit, dir, 0)
}

func (r *Repository) checkout(ctx context.Context, commit, dir string, depth int) error {
	tree, err := r.fetchTree(ctx, commit)
	if err != nil {
		return err
	}
	entries, err := r.list(ctx, tree)
	if err != nil {
		return err
	}
	modules := submodules(entries)
	if len(modules) > 0 && !r.git.Submodules {
		return errorf(Submodules, "Set submodules = true in the git block to fetch them too",
			"commit %.12s of %s has submodules (%s)", commit, r.url, modules[0].path)
	}
	if err := r.write(ctx, tree, dir); err != nil {
		return err
	}
	if err := r.refuseLargeFiles(entries, dir); err != nil {
		return err
	}
	return r.checkoutSubmodules(ctx, commit, dir, modules, depth)
}

// fetchTree fetches a commit's files, those of the sub-path if there is one,
// and gives the name of the tree to write.
func (r *Repository) fetchTree(ctx context.Context, commit string) (string, error) {
	tree := commit + "^{tree}"
	if r.git.Path == "" {
		return tree, r.fetch(ctx, r.trees, commit, "--depth=1")
	}
	if err := r.fetch(ctx, r.trees, commit, "--depth=1", "--filter=blob:none"); err != nil {
		return "", err
	}
	tree = commit + ":" + strings.TrimSuffix(r.git.Path, "/")
	kind, err := r.offline(ctx, r.trees, 64, "look up the path", "cat-file", "-t", tree)
	if err != nil || kind != "tree" {
		if ctx.Err() != nil {
			return "", err
		}
		return "", errorf(NotFound, "Check the path in the git block", "commit %.12s of %s has no directory %q", commit, r.url, r.git.Path)
	}
	return tree, r.complete(ctx, commit, tree)
}

// complete fetches, in one go, the contents that a partial fetch left out of a
// tree, and the list of submodules.
func (r *Repository) complete(ctx context.Context, commit, tree string) error {
	r.trees.mu.Lock()
	defer r.trees.mu.Unlock()
	if r.trees.fetched[tree] {
		return nil
	}
	listed, err := r.offline(ctx, r.trees, maxTree, "list the files", "rev-list", "--objects", "--missing=print", "--no-object-names", tree)
	if err != nil {
		return err
	}
	var wanted strings.Builder
	for line := range strings.Lines(listed) {
		if missing, ok := strings.CutPrefix(line, "?"); ok {
			wanted.WriteString(strings.TrimSpace(missing) + "\n")
		}
	}
	modules, err := r.offline(ctx, r.trees, 4096, "look up .gitmodules", "ls-tree", "--object-only", commit, "--", ".gitmodules")
	if err != nil {
		return err
	}
	if wanted.Len() > 0 {
		if modules != "" {
			wanted.WriteString(modules + "\n")
		}
		err = r.fetchInto(ctx, r.trees, "fetch the files", strings.NewReader(wanted.String()), "--filter=blob:none", "--stdin", "origin")
	}
	if err == nil {
		r.trees.fetched[tree] = true
	}
	return err
}

// write writes a tree's files with an index of its own, so that several can be
// written at the same time.
func (r *Repository) write(ctx context.Context, tree, dir string) error {
	if err := emptyDirectory(dir); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(r.dir, "index-")
	if err != nil {
		return errorf(Failed, "", "make a temporary directory: %v", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	return r.run(ctx, command{
		what: "write the files", dir: dir, env: []string{"GIT_INDEX_FILE=" + filepath.Join(scratch, "index")},
		args: []string{"--git-dir=" + r.trees.dir, "--work-tree=" + dir, "read-tree", "-m", "-u", tree},
	})
}

// emptyDirectory makes a directory, or sees that it is empty.
func emptyDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errorf(Failed, "", "make a directory for the files: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return errorf(Failed, "", "make a directory for the files: %v", err)
	}
	if len(entries) > 0 {
		return errorf(Failed, "", "write the files to %s: it is not empty", dir)
	}
	return nil
}

// entry is one file of a tree.
type entry struct{ mode, object, path string }

const gitlink = "160000" // the mode of a submodule

// list lists the files of a tree, with paths relative to it.
func (r *Repository) list(ctx context.Context, tree string) ([]entry, error) {
	out, err := r.offline(ctx, r.trees, maxTree, "list the files", "ls-tree", "-r", "-z", "--full-tree", tree)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		meta, name, _ := strings.Cut(line, "\t")
		if fields := strings.Fields(meta); len(fields) == 3 {
			entries = append(entries, entry{fields[0], fields[2], name})
		}
	}
	return entries, nil
}

func submodules(entries []entry) []entry {
	var links []entry
	for _, e := range entries {
		if e.mode == gitlink {
			links = append(links, e)
		}
	}
	return links
}

// pointer is how the file begins that Git holds in place of one in Git LFS.
const pointer = "version https://git-lfs.github.com/spec/v1\n"

// refuseLargeFiles looks for pointers where .gitattributes speaks of Git LFS.
func (r *Repository) refuseLargeFiles(entries []entry, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("look for Git LFS: %w", err)
	}
	defer func() { _ = root.Close() }()
	begins := func(e entry, limit int64) []byte {
		name := filepath.FromSlash(e.path)
		info, err := root.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
			return nil
		}
		data, _ := root.ReadFile(name)
		return data
	}
	uses := slices.ContainsFunc(entries, func(e entry) bool {
		return path.Base(e.path) == ".gitattributes" && bytes.Contains(begins(e, 1<<20), []byte("filter=lfs"))
	})
	if !uses {
		return nil
	}
	for _, e := range entries {
		if bytes.HasPrefix(begins(e, 1024), []byte(pointer)) {
			return errorf(LargeFiles, "Git LFS is not supported: keep the file in Git, or fetch it in a stage",
				"%s keeps %q in Git LFS", r.url, e.path)
		}
	}
	return nil
}
