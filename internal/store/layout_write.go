// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// update holds the lock for the whole change. Blobs are written into the work
// directory, then noted in a journal there, moved into place, and index.json is
// replaced last of all. Whoever gets the lock after a writer died undoes what
// the journal notes and the index does not need.
func (l *layout) update(ctx context.Context, change func(transaction) error) (err error) {
	defer func() { err = l.access(true, err) }()
	if err := l.acceptable(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(l.dir, filepath.FromSlash(blobDir)), 0o777); err != nil {
		return err
	}
	lock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := l.recover(); err != nil {
		return err
	}
	if err := os.Mkdir(l.work(), 0o777); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.recover())
		} else {
			err = os.RemoveAll(l.work())
		}
	}()
	if err := l.initialize(); err != nil {
		return err
	}
	before, err := l.index()
	if err != nil {
		return err
	}
	tx := &layoutTx{layout: l, index: before}
	if err := change(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil || tx.index == before {
		return err
	}
	return tx.commit()
}

func (l *layout) work() string    { return filepath.Join(l.dir, workDir) }
func (l *layout) journal() string { return filepath.Join(l.work(), "journal") }

// acceptable refuses a directory that is something else already.
func (l *layout) acceptable() error {
	data, err := os.ReadFile(filepath.Join(l.dir, layoutFile))
	if err == nil {
		var v struct {
			Version string `json:"imageLayoutVersion"`
		}
		if json.Unmarshal(data, &v) != nil || !strings.HasPrefix(v.Version, "1.") {
			return &AccessError{
				Location: l.at.String(), Write: true, Reason: ReasonDenied,
				Detail: l.dir + " is not an OCI image layout of version 1",
				Advice: "Name another directory in the provider's store.",
			}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !slices.Contains([]string{lockFile, workDir, "blobs", indexFile, layoutFile}, e.Name()) {
			return &AccessError{
				Location: l.at.String(), Write: true, Reason: ReasonDenied,
				Detail: fmt.Sprintf("%s exists and is not a store: it holds %q", l.dir, e.Name()),
				Advice: "Name another directory in the provider's store.",
			}
		}
	}
	return nil
}

// initialize makes an empty layout; oci-layout, by which tools know one, comes last.
func (l *layout) initialize() error {
	if _, err := os.Lstat(filepath.Join(l.dir, layoutFile)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(filepath.Join(l.dir, indexFile)); errors.Is(err, fs.ErrNotExist) {
		data, err := (&index{}).encode()
		if err != nil {
			return err
		}
		if err := l.replace(indexFile, data); err != nil {
			return err
		}
	}
	l.reached("initialize")
	return l.replace(layoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n"))
}

// replace writes a file of the layout as a whole.
func (l *layout) replace(name string, data []byte) error {
	temporary := filepath.Join(l.work(), name)
	if err := writeFile(temporary, data, 0o666); err != nil {
		return err
	}
	l.reached("write " + name)
	if err := os.Rename(temporary, filepath.Join(l.dir, name)); err != nil {
		return err
	}
	return syncDir(l.dir)
}

func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// layoutTx is a change of a locked layout.
type layoutTx struct {
	*layout
	index *index
	moves []string // digests of blobs in the work directory
}

func (t *layoutTx) staged(digest string) string {
	return filepath.Join(t.work(), strings.TrimPrefix(digest, "sha256:"))
}

func (t *layoutTx) manifest(ctx context.Context, tag string) (content, error) {
	d, ok := t.index.tags[tag]
	if !ok {
		return content{}, ErrNotFound
	}
	data, err := t.blob(ctx, d)
	return content{d, data}, err
}

func (t *layoutTx) blob(ctx context.Context, d descriptor) ([]byte, error) {
	if slices.Contains(t.moves, d.Digest) {
		return os.ReadFile(t.staged(d.Digest))
	}
	return t.layout.blob(ctx, d)
}

// holds tells whether a blob is there already, undamaged.
func (t *layoutTx) holds(ctx context.Context, d descriptor) (bool, error) {
	if slices.Contains(t.moves, d.Digest) {
		return true, nil
	}
	_, err := t.file(ctx, d, "")
	if errors.Is(err, ErrCorrupt) {
		return false, nil
	}
	return err == nil, err
}

func (t *layoutTx) put(ctx context.Context, c content) error {
	there, err := t.holds(ctx, c.descriptor)
	if there || err != nil {
		return err
	}
	if err := writeFile(t.staged(c.Digest), c.data, 0o444); err != nil {
		return err
	}
	t.moves = append(t.moves, c.Digest)
	t.reached("blob")
	return nil
}

func (t *layoutTx) putFile(ctx context.Context, d descriptor, path string) error {
	there, err := t.holds(ctx, d)
	if there || err != nil {
		return err
	}
	source, err := os.Open(path)
	if err != nil {
		// Not wrapped: it is no failure of the store.
		return errors.New("read what is to be kept: " + err.Error())
	}
	defer source.Close()
	f, err := os.OpenFile(t.staged(d.Digest), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	digest, size, err := hashCopy(ctx, f, io.LimitReader(source, d.Size+1))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if digest != d.Digest || size != d.Size {
		return fmt.Errorf("%s is not the file it was: it should have %d bytes and the digest %s", path, d.Size, d.Digest)
	}
	t.moves = append(t.moves, d.Digest)
	t.reached("artifact")
	return nil
}

func (t *layoutTx) tag(ctx context.Context, tag string, m content) (content, error) {
	if there, err := t.manifest(ctx, tag); !errors.Is(err, ErrNotFound) {
		return there, err
	}
	if err := t.put(ctx, m); err != nil {
		return content{}, err
	}
	d := m.descriptor
	d.Annotations = nil
	t.index = t.index.with(tag, d)
	return m, nil
}

// linked: a layout has no referrers API.
func (t *layoutTx) linked(context.Context, content, content) (bool, error) { return false, nil }

func (t *layoutTx) commit() error {
	journal, err := json.Marshal(t.moves)
	if err != nil {
		return err
	}
	if err := writeFile(t.journal(), journal, 0o666); err != nil {
		return err
	}
	t.reached("journal")
	for _, digest := range t.moves {
		if err := os.Rename(t.staged(digest), t.blobPath(digest)); err != nil {
			return err
		}
		t.reached("move")
	}
	if err := syncDir(filepath.Join(t.dir, filepath.FromSlash(blobDir))); err != nil {
		return err
	}
	data, err := t.index.encode()
	if err != nil {
		return err
	}
	if err := t.replace(indexFile, data); err != nil {
		return err
	}
	t.reached("index")
	return nil
}
