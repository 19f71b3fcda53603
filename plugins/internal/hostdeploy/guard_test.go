// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"archive/tar"
	"testing"
)

// TestGuardOfLinks admits links only where nothing can lead out, in whatever
// order the entries come.
func TestGuardOfLinks(t *testing.T) {
	t.Parallel()
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	for name, c := range map[string]struct {
		entries []tar.Header
		fine    bool
	}{
		"within":                  {[]tar.Header{file("a/b"), link("a/c", "b"), link("d/e", "../a/b"), link("f", "a"), link("g", "f/b")}, true},
		"back from a directory":   {[]tar.Header{file("a/b"), link("c", "a/../a/b")}, true},
		"through a link":          {[]tar.Header{link("a", "."), file("a/b")}, false},
		"link over a file":        {[]tar.Header{file("a"), link("a", "b")}, false},
		"link over a directory":   {[]tar.Header{dir("a"), link("a", "b")}, false},
		"link over a prefix":      {[]tar.Header{file("a/b/c"), link("a", "d")}, false},
		"link over links' prefix": {[]tar.Header{link("a/b", "c"), link("a", "d")}, false},
		"back from a link":        {[]tar.Header{link("b", "."), link("a", "b/../x")}, false},
		"back from a later link":  {[]tar.Header{link("a", "b/../x"), link("b", ".")}, false},
		"back from below a link":  {[]tar.Header{link("b", "."), link("a", "b/c/../../x")}, false},
		"back from itself":        {[]tar.Header{link("a", "a/../x")}, false},
	} {
		g := newGuard()
		var err error
		for _, h := range c.entries {
			if _, err = g.admit(&h); err != nil {
				break
			}
		}
		if (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}
