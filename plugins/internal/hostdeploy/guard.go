// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"archive/tar"
	"fmt"
	"hash/maphash"
	"path"
	"strings"
)

const maxNameLength = 4096

// guard admits the entries of a tar that can be unpacked without harm: nothing
// outside of the directory, through a link, or over what is ours.
type guard struct {
	seed  maphash.Seed
	files map[uint64]bool // of regular files so far, for hard links
	links map[string]bool // symbolic links so far
	// solid are the names that must not become links, whatever the order of the
	// entries: of files and directories, and what links lead through and back.
	solid map[uint64]bool
}

func newGuard() *guard {
	return &guard{seed: maphash.MakeSeed(), files: map[uint64]bool{}, links: map[string]bool{}, solid: map[uint64]bool{}}
}

// admit gives the header to write for an entry, or nil for one to leave out.
func (g *guard) admit(h *tar.Header) (*tar.Header, error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil, nil
	}
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if (name == "" || name == ".") && h.Typeflag == tar.TypeDir {
		return nil, nil
	}
	if len(name) > maxNameLength || !localName(name) {
		return nil, fmt.Errorf("the entry %.200q has a name that is not allowed", h.Name)
	}
	if len(g.links) > 0 {
		for dir := name; dir != "."; dir = path.Dir(dir) {
			if g.links[dir] {
				return nil, fmt.Errorf("the entry %.200q goes through the link %.200q", h.Name, dir)
			}
		}
	}
	clean := &tar.Header{Name: name, Typeflag: h.Typeflag, Mode: 0o644, Format: tar.FormatGNU}
	if h.Mode&0o111 != 0 {
		clean.Mode = 0o755
	}
	switch h.Typeflag {
	case tar.TypeReg:
		clean.Size = h.Size
		g.files[maphash.String(g.seed, name)] = true
	case tar.TypeDir:
		clean.Name, clean.Mode = name+"/", 0o755
	case tar.TypeSymlink:
		target := path.Join(path.Dir(name), h.Linkname)
		if h.Linkname == "" || len(h.Linkname) > maxNameLength || path.IsAbs(h.Linkname) || target == ".." || strings.HasPrefix(target, "../") || strings.ContainsAny(h.Linkname, "\x00\n") {
			return nil, fmt.Errorf("the link %.200q leads out of the release, to %.200q", h.Name, h.Linkname)
		}
		if g.solid[g.hash(name)] {
			return nil, fmt.Errorf("the link %.200q takes the place of a file or a directory", h.Name)
		}
		if back := g.climb(path.Dir(name), h.Linkname); back != "" {
			return nil, fmt.Errorf("the link %.200q leads through the link %.200q and back, to %.200q", h.Name, back, h.Linkname)
		}
		if g.solid[g.hash(name)] {
			return nil, fmt.Errorf("the link %.200q leads through itself, to %.200q", h.Name, h.Linkname)
		}
		clean.Linkname = h.Linkname
		g.links[name] = true
		name = path.Dir(name)
	case tar.TypeLink:
		target := strings.TrimPrefix(h.Linkname, "./")
		if !localName(target) || !g.files[maphash.String(g.seed, target)] {
			return nil, fmt.Errorf("the hard link %.200q leads to %.200q, which is no file before it", h.Name, h.Linkname)
		}
		clean.Linkname = target
	default:
		return nil, fmt.Errorf("the entry %.200q is no file, directory or link", h.Name)
	}
	g.settle(name)
	return clean, nil
}

func (g *guard) hash(name string) uint64 { return maphash.String(g.seed, name) }

// settle makes a name and all above it solid.
func (g *guard) settle(name string) {
	for ; name != "." && !g.solid[g.hash(name)]; name = path.Dir(name) {
		g.solid[g.hash(name)] = true
	}
}

// climb follows a link's target from its directory. What it goes back from must
// be no link, now or later; one that is one is given.
func (g *guard) climb(at, target string) string {
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." {
			for dir := at; dir != "."; dir = path.Dir(dir) {
				if g.links[dir] {
					return dir
				}
			}
			g.settle(at)
		}
		at = path.Join(at, part)
	}
	return ""
}
