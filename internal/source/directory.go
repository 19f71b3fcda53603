// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tfdelivery/terraform-provider-delivery/internal/fileset"
)

// Digest is "sha256:" and a hash of the directory's content: paths, which
// files are executable, contents, and targets of symbolic links. Times, owners
// and empty directories do not count, nor does what fileset.NeverIncluded
// names.
func (d Directory) Digest(ctx context.Context) (string, error) {
	return d.walk(ctx, nil)
}

// Copy copies the directory's content into dir, which must be empty or not
// exist. Unless want is "", what was copied must have that digest: content that
// changed in between is an error of kind Changed.
func (d Directory) Copy(ctx context.Context, dir, want string) error {
	if err := emptyDirectory(dir); err != nil {
		return err
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return d.failed(err)
	}
	defer func() { _ = to.Close() }()
	got, err := d.walk(ctx, to)
	if err != nil {
		return err
	}
	if want != "" && got != want {
		return errorf(Changed, "Run terraform plan again", "the content of directory %q changed since the plan", d.Path)
	}
	return nil
}

// walk hashes every file, in one order, and copies it when there is a place
// to copy to.
func (d Directory) walk(ctx context.Context, to *os.Root) (string, error) {
	info, err := os.Stat(d.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errorf(NotFound, "Check the path in the directory block", "there is no directory %q", d.Path)
	case err != nil:
		return "", d.failed(err)
	case !info.IsDir():
		return "", errorf(NotFound, "Check the path in the directory block", "%q is not a directory", d.Path)
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return "", d.failed(err)
	}
	defer func() { _ = root.Close() }()
	w := &walker{ctx: ctx, from: root, tree: root.FS(), to: to, sum: sha256.New(), buffer: make([]byte, 128<<10)}
	if err := fs.WalkDir(w.tree, ".", w.visit); err != nil {
		return "", d.failed(err)
	}
	return "sha256:" + hex.EncodeToString(w.sum.Sum(nil)), nil
}

func (d Directory) failed(err error) error {
	var e *Error
	if errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errorf(Failed, "", "read directory %q: %v", d.Path, err)
}

type walker struct {
	ctx    context.Context
	from   *os.Root
	tree   fs.FS    // of from
	to     *os.Root // nil: only hash
	sum    hash.Hash
	buffer []byte
}

func (w *walker) visit(name string, e fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	switch left, err := fileset.NeverIncluded(w.tree, name, e); {
	case err != nil:
		return err
	case left && e.IsDir():
		return fs.SkipDir
	case left:
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if w.to != nil {
			return w.to.Mkdir(filepath.FromSlash(name), 0o755)
		}
		return nil
	case mode.IsRegular():
		return w.file(name, info)
	case mode&fs.ModeSymlink != 0:
		return w.link(name)
	}
	return errorf(Invalid, "Remove it, or move it out of the directory", "%q is neither a file nor a directory nor a symbolic link", name)
}

func (w *walker) link(name string) error {
	target, err := w.from.Readlink(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	target = filepath.ToSlash(target)
	_, _ = fmt.Fprintf(w.sum, "link %d:%s %d:%s\n", len(name), name, len(target), target)
	if w.to != nil {
		return w.to.Symlink(filepath.FromSlash(target), filepath.FromSlash(name))
	}
	return nil
}

// file hashes a file as "file", its mode, path, and the hash of its content:
// the content's length need not be known before it is read.
func (w *walker) file(name string, info fs.FileInfo) error {
	in, err := w.from.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	content := sha256.New()
	var dest io.Writer = content
	var out *os.File
	if w.to != nil {
		if out, err = w.to.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode); err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		dest = io.MultiWriter(content, out)
	}
	if _, err := io.CopyBuffer(dest, reader{w.ctx, in}, w.buffer); err != nil {
		return err
	}
	if out != nil {
		if err := errors.Join(out.Chmod(mode), out.Close()); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintf(w.sum, "file %o %d:%s %x\n", mode, len(name), name, content.Sum(nil))
	return nil
}

// reader stops when its context does. It also keeps io.CopyBuffer on its
// buffer.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
