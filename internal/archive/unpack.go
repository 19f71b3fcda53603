// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that an archive can make its reader use.
const maxWindow = 32 << 20

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 16 << 30
	}
	if l.Entries <= 0 {
		l.Entries = 1_000_000
	}
	if l.PathLength <= 0 {
		l.PathLength = 4096
	}
	return l
}

func unpack(ctx context.Context, r io.Reader, dir string, limits Limits) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("unpack: %s is not empty", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer func() { _ = root.Close() }()
	decoder, err := zstd.NewReader(contextReader{ctx, r}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer decoder.Close()
	// Headers and padding count too: nothing may expand without end.
	limits = limits.withDefaults()
	bounded := &boundedReader{r: decoder, left: limits.Bytes + int64(limits.Entries)*4096}
	u := &unpacker{ctx: ctx, root: root, limits: limits, buffer: make([]byte, 128<<10)}
	if err := u.all(tar.NewReader(bounded)); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{bounded}, u.buffer); err != nil { // to the checksum at the end
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

type unpacker struct {
	ctx     context.Context
	root    *os.Root
	limits  Limits
	buffer  []byte
	entries int
	bytes   int64
	links   []link // made last, so that nothing can be written through one
}

type link struct{ name, target string }

func (u *unpacker) all(archive *tar.Reader) error {
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return u.makeLinks()
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, archive); err != nil {
			return err
		}
	}
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if u.entries++; u.entries > u.limits.Entries {
		return fmt.Errorf("the archive has more than %d entries", u.limits.Entries)
	}
	name, err := u.name(h.Name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(name)
	case tar.TypeReg:
		return u.file(name, h, content)
	case tar.TypeSymlink:
		if len(h.Linkname) > u.limits.PathLength {
			return fmt.Errorf("the archive's link %.80q has a target of more than %d bytes", h.Name, u.limits.PathLength)
		}
		if err := checkLink(filepath.ToSlash(name), h.Linkname); err != nil {
			return err
		}
		u.links = append(u.links, link{name, filepath.FromSlash(h.Linkname)})
		return u.directory(filepath.Dir(name))
	}
	return fmt.Errorf("the archive's entry %.80q is of a kind (%q) that releases do not have", h.Name, h.Typeflag)
}

// name checks an entry's path and gives it in the system's form.
func (u *unpacker) name(name string) (string, error) {
	trimmed := strings.TrimSuffix(name, "/")
	local := filepath.FromSlash(trimmed)
	if len(name) > u.limits.PathLength {
		return "", fmt.Errorf("the archive's entry %.80q… has a path of more than %d bytes", name, u.limits.PathLength)
	}
	if trimmed == "" || strings.ContainsRune(name, 0) || !filepath.IsLocal(local) || filepath.Clean(local) != local || local == "." {
		return "", fmt.Errorf("the archive's entry %.80q does not have a plain relative path", name)
	}
	return local, nil
}

func (u *unpacker) directory(name string) error {
	if name == "." {
		return nil
	}
	if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
		return nil
	}
	if err := u.directory(filepath.Dir(name)); err != nil {
		return err
	}
	if err := u.root.Mkdir(name, 0o755); err != nil {
		return err
	}
	return u.root.Chmod(name, 0o755)
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if u.bytes += h.Size; h.Size < 0 || u.bytes > u.limits.Bytes {
		return fmt.Errorf("the archive's files have more than %d bytes", u.limits.Bytes)
	}
	if err := u.directory(filepath.Dir(name)); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	file, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{content}, u.buffer)
	return errors.Join(err, file.Chmod(mode), file.Close())
}

func (u *unpacker) makeLinks() error {
	for _, l := range u.links {
		if err := context.Cause(u.ctx); err != nil {
			return err
		}
		if err := u.root.Symlink(l.target, l.name); err != nil {
			return err
		}
	}
	return nil
}

// boundedReader fails, rather than ending, when more than its limit is read.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("the archive expands to more than is allowed")
	}
	return n, err
}
