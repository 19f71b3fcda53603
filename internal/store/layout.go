// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// layout is one pipeline's OCI image layout
// (https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
// Besides what the specification names it holds a lock file, which writers
// hold while they live, and a work directory with what a writer has not
// finished. Reading needs neither: blobs never change and index.json is
// replaced as a whole.
type layout struct {
	at  Location
	dir string
	// reached is told each step of a write, so that tests can die there.
	reached func(step string)

	mu       sync.Mutex
	cached   *index                 // as last read
	verified map[string]fs.FileInfo // by digest: blobs whose bytes were hashed in this process
}

const (
	layoutFile = "oci-layout"
	indexFile  = "index.json"
	lockFile   = ".lock"
	workDir    = ".work"
	blobDir    = "blobs/sha256"
)

func newLayout(at Location, pipeline string) *layout {
	return &layout{
		at:       at,
		dir:      filepath.Join(at.Directory, pipeline),
		reached:  func(string) {},
		verified: map[string]fs.FileInfo{},
	}
}

func (l *layout) reference(digest string) string { return l.dir + "@" + digest }

func (l *layout) blobPath(digest string) string {
	return filepath.Join(l.dir, filepath.FromSlash(blobDir), strings.TrimPrefix(digest, "sha256:"))
}

func (l *layout) tags(context.Context) ([]string, error) {
	x, err := l.index()
	if err != nil {
		return nil, err
	}
	tags := make([]string, 0, len(x.tags))
	for tag := range x.tags {
		tags = append(tags, tag)
	}
	return tags, nil
}

func (l *layout) manifest(ctx context.Context, tag string) (content, error) {
	x, err := l.index()
	if err != nil {
		return content{}, err
	}
	d, ok := x.tags[tag]
	if !ok {
		return content{}, ErrNotFound
	}
	data, err := l.blob(ctx, d)
	return content{d, data}, err
}

func (l *layout) blob(_ context.Context, d descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, corrupt("%s has %d bytes, too many for what it is", l.reference(d.Digest), d.Size)
	}
	f, err := os.Open(l.blobPath(d.Digest))
	if err != nil {
		return nil, l.missing(d, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, d.Size+1))
	if err != nil {
		return nil, l.access(false, err)
	}
	if int64(len(data)) != d.Size || digestOf(data) != d.Digest {
		return nil, l.damaged(d)
	}
	return data, nil
}

// file gives the blob's own file. Its bytes are hashed once in a process, and
// again when the file is no longer the same.
func (l *layout) file(ctx context.Context, d descriptor, _ string) (string, error) {
	path := l.blobPath(d.Digest)
	info, err := os.Lstat(path)
	if err != nil {
		return "", l.missing(d, err)
	}
	l.mu.Lock()
	known := l.verified[d.Digest]
	l.mu.Unlock()
	if known != nil && unchanged(known, info) {
		return path, nil
	}
	if !info.Mode().IsRegular() || info.Size() != d.Size {
		return "", l.damaged(d)
	}
	digest, _, err := hashFile(ctx, path)
	if err != nil {
		return "", l.access(false, err)
	}
	if digest != d.Digest {
		return "", l.damaged(d)
	}
	l.mu.Lock()
	l.verified[d.Digest] = info
	l.mu.Unlock()
	return path, nil
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (l *layout) missing(d descriptor, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt("%s is gone from %s: bring it back from a copy, or remove the whole directory to forget its releases", short(d.Digest), l.dir)
	}
	return l.access(false, err)
}

func (l *layout) damaged(d descriptor) error {
	return corrupt("the file %s is not what its name says: bring it back from a copy, or remove the whole directory %s to forget its releases", l.blobPath(d.Digest), l.dir)
}

// index reads index.json, or what was read before when it is still the same.
func (l *layout) index() (*index, error) {
	path := filepath.Join(l.dir, indexFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &index{}, nil
	}
	if err != nil {
		return nil, l.access(false, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, l.access(false, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cached != nil && unchanged(l.cached.info, info) {
		return l.cached, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return nil, l.access(false, err)
	}
	x, err := parseIndex(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	x.info = info
	l.cached = x
	return x, nil
}

// access explains an error of the file system.
func (l *layout) access(write bool, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	if !errors.As(err, &path) && !errors.As(err, &link) {
		return err
	}
	e := &AccessError{Location: l.at.String(), Write: write, Reason: ReasonUnreachable, Detail: err.Error(), Err: err}
	switch {
	case isReadOnly(err):
		e.Reason, e.Advice = ReasonReadOnly, "Its file system is read-only: name another directory in the provider's store."
	case errors.Is(err, fs.ErrPermission):
		e.Reason, e.Advice = ReasonDenied, "Let the user who runs Terraform own the directory, or name another one in the provider's store."
	case isFull(err):
		e.Reason, e.Advice = ReasonFull, "Free some space there, or name another directory in the provider's store."
	case isNotDirectory(err):
		e.Advice = "Something on its path is a file: name another directory in the provider's store."
	}
	return e
}
