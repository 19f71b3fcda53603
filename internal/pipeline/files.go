// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/tfdelivery/terraform-provider-delivery/internal/fileset"
)

// find lists the files (and symbolic links) below dir that match a pattern,
// sorted, with slashes.
func find(ctx context.Context, dir string, patterns []string) ([]string, error) {
	var found []string
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case name == "." || !e.IsDir() && !fileset.MatchAny(patterns, name):
			return nil
		}
		switch left, err := fileset.NeverIncluded(tree, name, e); {
		case err != nil:
			return err
		case left && e.IsDir():
			return fs.SkipDir
		case !left && !e.IsDir():
			found = append(found, name)
		}
		return nil
	})
	return found, err
}

// unmatched gives the first pattern that names none of the files; "" when all
// name some.
func unmatched(patterns, files []string) string {
	for _, pattern := range patterns {
		hit := false
		for _, file := range files {
			if hit = fileset.Match(pattern, file); hit {
				break
			}
		}
		if !hit {
			return pattern
		}
	}
	return ""
}

// move takes files from one directory to another of the same file system.
func move(from, to string, files []string) error {
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	for _, name := range files {
		info, err := source.Lstat(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
			return fmt.Errorf("%q is neither a file nor a symbolic link", name)
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(from, filepath.FromSlash(name)), target); err != nil {
			return err
		}
	}
	return nil
}

// overlay copies every file of a directory over another one. What is there
// already is replaced, and nothing is written through symbolic links.
func overlay(ctx context.Context, from, to string) error {
	source, err := os.OpenRoot(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	buffer := make([]byte, 128<<10)
	return fs.WalkDir(source.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil || name == "." {
			return err
		}
		local := filepath.FromSlash(name)
		if e.IsDir() {
			return replaceByDirectory(target, local)
		}
		if err := target.RemoveAll(local); err != nil {
			return err
		}
		if e.Type()&fs.ModeSymlink != 0 {
			link, err := source.Readlink(local)
			if err != nil {
				return err
			}
			return target.Symlink(link, local)
		}
		return copyFile(ctx, source, target, local, buffer)
	})
}

func replaceByDirectory(target *os.Root, name string) error {
	if info, err := target.Lstat(name); err == nil {
		if info.IsDir() {
			return nil
		}
		if err := target.Remove(name); err != nil {
			return err
		}
	}
	return target.Mkdir(name, 0o755)
}

func copyFile(ctx context.Context, source, target *os.Root, name string, buffer []byte) error {
	in, err := source.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := target.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, contextReader{ctx, in}, buffer)
	return errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close())
}

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

// differ names the first file that two directories both hold and that is not
// the same in both; "" when there is none.
func differ(ctx context.Context, a, b string) (string, error) {
	different := errors.New("different")
	where := ""
	err := fs.WalkDir(os.DirFS(a), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		other, err := os.Lstat(filepath.Join(b, filepath.FromSlash(name)))
		if err != nil { // only one has it
			if e.IsDir() && name != "." {
				return fs.SkipDir
			}
			return nil
		}
		if e.IsDir() && other.IsDir() {
			return nil
		}
		same, err := sameFile(a, b, name)
		if err == nil && !same {
			where = name
			return different
		}
		return err
	})
	if errors.Is(err, different) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return where, err
}

func sameFile(a, b, name string) (bool, error) {
	left, right := filepath.Join(a, filepath.FromSlash(name)), filepath.Join(b, filepath.FromSlash(name))
	x, err := os.Lstat(left)
	if err != nil {
		return false, err
	}
	y, err := os.Lstat(right)
	if err != nil || x.Mode() != y.Mode() || x.Mode().IsRegular() && x.Size() != y.Size() {
		return false, err
	}
	if x.Mode()&fs.ModeSymlink != 0 {
		p, err := os.Readlink(left)
		if err != nil {
			return false, err
		}
		q, err := os.Readlink(right)
		return p == q, err
	}
	if !x.Mode().IsRegular() {
		return false, nil
	}
	return sameContent(left, right)
}

func sameContent(left, right string) (bool, error) {
	l, err := os.Open(left)
	if err != nil {
		return false, err
	}
	defer func() { _ = l.Close() }()
	r, err := os.Open(right)
	if err != nil {
		return false, err
	}
	defer func() { _ = r.Close() }()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errL := io.ReadFull(l, p)
		m, errR := io.ReadFull(r, q)
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			return false, nil
		}
		if errL != nil || errR != nil {
			return true, nil
		}
	}
}

// reportName makes a file name of a path: one directory holds all reports of a
// stage.
func reportName(number int, name string) string {
	return fmt.Sprintf("%03d-%s", number, path.Base(name))
}
