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
}

func newGuard() *guard {
	return &guard{seed: maphash.MakeSeed(), files: map[uint64]bool{}, links: map[string]bool{}}
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
		clean.Linkname = h.Linkname
		g.links[name] = true
	case tar.TypeLink:
		target := strings.TrimPrefix(h.Linkname, "./")
		if !localName(target) || !g.files[maphash.String(g.seed, target)] {
			return nil, fmt.Errorf("the hard link %.200q leads to %.200q, which is no file before it", h.Name, h.Linkname)
		}
		clean.Linkname = target
	default:
		return nil, fmt.Errorf("the entry %.200q is no file, directory or link", h.Name)
	}
	return clean, nil
}
