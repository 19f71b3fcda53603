// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of submodules.
const (
	maxSubmodules     = 200 // of one commit
	maxSubmoduleDepth = 5
)

// checkoutSubmodules writes each submodule at its pinned commit, with the same
// rules as its parent: URLs without credentials, credentials by host. A
// repository on a server may not name one on this machine.
func (r *Repository) checkoutSubmodules(ctx context.Context, commit, dir string, modules []entry, depth int) error {
	if len(modules) == 0 {
		return nil
	}
	if depth >= maxSubmoduleDepth || len(modules) > maxSubmodules {
		return errorf(Submodules, "", "commit %.12s of %s has more than %d submodules, or they are nested more than %d deep",
			commit, r.url, maxSubmodules, maxSubmoduleDepth)
	}
	urls, err := r.submoduleURLs(ctx, commit)
	if err != nil {
		return err
	}
	for _, module := range modules {
		if err := r.checkoutSubmodule(ctx, module, urls, dir, depth); err != nil {
			return fmt.Errorf("submodule %q: %w", module.path, err)
		}
	}
	return nil
}

func (r *Repository) checkoutSubmodule(ctx context.Context, module entry, urls map[string]string, dir string, depth int) error {
	raw, ok := urls[path.Join(r.git.Path, module.path)]
	if !ok {
		return errorf(Submodules, "Add it to .gitmodules", ".gitmodules names no URL for it")
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		raw = relativeURL(r.url, raw)
	}
	at, err := parseURL(raw)
	if err != nil {
		return err
	}
	if at.local() && !r.local {
		return errorf(Submodules, "", "%s is on a server, but its submodule is a path on this machine (%s)", r.url, raw)
	}
	private, err := os.MkdirTemp(r.dir, "submodule-")
	if err != nil {
		return errorf(Failed, "", "make a temporary directory: %v", err)
	}
	defer func() { _ = os.RemoveAll(private) }()
	sub := newRepository(private, at, Git{URL: raw, Submodules: true}, r.credentials)
	return sub.checkout(ctx, module.object, filepath.Join(dir, filepath.FromSlash(module.path)), depth+1)
}

// submoduleURLs reads .gitmodules of a commit: URLs by path.
func (r *Repository) submoduleURLs(ctx context.Context, commit string) (map[string]string, error) {
	out, err := r.offline(ctx, r.trees, 1<<20, "read .gitmodules", "config", "--blob="+commit+":.gitmodules", "-z", "--list")
	if err != nil {
		return nil, errorf(Submodules, "Add the submodules to .gitmodules", "commit %.12s of %s has submodules and no readable .gitmodules", commit, r.url)
	}
	paths, urls := map[string]string{}, map[string]string{} // by the submodule's name
	for item := range strings.SplitSeq(out, "\x00") {
		key, value, _ := strings.Cut(item, "\n")
		rest, ok := strings.CutPrefix(key, "submodule.")
		if !ok {
			continue
		}
		if name, ok := strings.CutSuffix(rest, ".path"); ok {
			paths[name] = path.Clean(value)
		} else if name, ok := strings.CutSuffix(rest, ".url"); ok {
			urls[name] = value
		}
	}
	byPath := map[string]string{}
	for name, where := range paths {
		if url, ok := urls[name]; ok {
			byPath[where] = url
		}
	}
	return byPath, nil
}
