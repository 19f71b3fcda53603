// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/tfdelivery/terraform-provider-delivery/internal/fileset"
)

func write(ctx context.Context, w io.Writer, root string, selection Selection) (Summary, error) {
	for _, pattern := range append(append([]string{}, selection.Include...), selection.Exclude...) {
		if err := fileset.Check(pattern); err != nil {
			return Summary{}, err
		}
	}
	from, err := os.OpenRoot(root)
	if err != nil {
		return Summary{}, fmt.Errorf("archive: %w", err)
	}
	defer func() { _ = from.Close() }()

	outer := newMeter(w)
	// One encoder goroutine: blocks must not depend on the number of CPUs.
	encoder, err := zstd.NewWriter(outer, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(8<<20), zstd.WithEncoderCRC(true))
	if err != nil {
		return Summary{}, fmt.Errorf("archive: %w", err)
	}
	inner := newMeter(encoder)
	a := &writer{ctx: ctx, from: from, tree: from.FS(), selection: selection, tar: tar.NewWriter(inner), buffer: make([]byte, 128<<10)}
	err = fs.WalkDir(a.tree, ".", a.visit)
	if err == nil {
		err = a.tar.Close()
	}
	if err = errors.Join(err, encoder.Close()); err != nil {
		return Summary{}, fmt.Errorf("archive %s: %w", root, err)
	}
	a.summary.Digest, a.summary.Size, a.summary.DiffID = outer.digest(), outer.size, inner.digest()
	return a.summary, nil
}

// writer walks a directory into a tar.
type writer struct {
	ctx       context.Context
	from      *os.Root
	tree      fs.FS // of from
	selection Selection
	tar       *tar.Writer
	buffer    []byte
	written   []string // the directories, outermost first, that hold the last entry
	summary   Summary
}

func (a *writer) visit(name string, e fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if err := context.Cause(a.ctx); err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	left := fileset.MatchAny(a.selection.Exclude, name) ||
		!e.IsDir() && len(a.selection.Include) > 0 && !fileset.MatchAny(a.selection.Include, name)
	if !left {
		if left, err = fileset.NeverIncluded(a.tree, name, e); err != nil {
			return err
		}
	}
	switch {
	case left && e.IsDir():
		return fs.SkipDir
	case left || e.IsDir():
		return nil
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not UTF-8", name)
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	if err := a.parents(path.Dir(name)); err != nil {
		return err
	}
	a.summary.Files++
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return a.file(name, info)
	case mode&fs.ModeSymlink != 0:
		return a.link(name)
	}
	return fmt.Errorf("%q is neither a file nor a directory nor a symbolic link; remove or exclude it", name)
}

// parents writes the directories above an entry that were not written yet.
func (a *writer) parents(dir string) error {
	if dir == "." {
		a.written = a.written[:0]
		return nil
	}
	parts := strings.Split(dir, "/")
	same := 0
	for same < len(parts) && same < len(a.written) && a.written[same] == parts[same] {
		same++
	}
	for i := same; i < len(parts); i++ {
		if err := a.tar.WriteHeader(header(tar.TypeDir, strings.Join(parts[:i+1], "/")+"/", 0o755)); err != nil {
			return err
		}
	}
	a.written = parts
	return nil
}

func (a *writer) file(name string, info fs.FileInfo) error {
	file, err := a.from.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	h := header(tar.TypeReg, name, mode)
	h.Size = info.Size()
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{a.tar}, contextReader{a.ctx, file}, a.buffer)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != info.Size() {
		return fmt.Errorf("%q changed while it was read", name)
	}
	a.summary.UnpackedSize += n
	return err
}

func (a *writer) link(name string) error {
	target, err := a.from.Readlink(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	target = filepath.ToSlash(target)
	if err := checkLink(name, target); err != nil {
		return err
	}
	h := header(tar.TypeSymlink, name, 0o777)
	h.Linkname = target
	return a.tar.WriteHeader(h)
}

func header(kind byte, name string, mode int64) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Mode: mode, ModTime: Epoch}
}

// checkLink refuses a symbolic link that leaves the directory. ".." may only
// lead the target: behind another name it could step out of wherever that name
// links to.
func checkLink(name, target string) error {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsRune(target, 0) ||
		filepath.VolumeName(target) != "" || filepath.Separator == '\\' && strings.Contains(target, `\`) {
		return fmt.Errorf("the symbolic link %q leads outside (to %q)", name, target)
	}
	depth := strings.Count(name, "/")
	down := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 || down {
				return fmt.Errorf("the symbolic link %q leads outside (to %q)", name, target)
			}
		default:
			down = true
		}
	}
	return nil
}

// meter hashes and counts what goes through it.
type meter struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func newMeter(w io.Writer) *meter { return &meter{w: w, sum: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.sum.Write(p[:n])
	m.size += int64(n)
	return n, err
}

func (m *meter) digest() string { return "sha256:" + hex.EncodeToString(m.sum.Sum(nil)) }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
