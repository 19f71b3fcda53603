// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
)

// standard reads a layout as other tools do: every blob is there, is what its
// name says, and is needed.
func standard(t *testing.T, dir string, manifests int) {
	t.Helper()
	index, err := ggcr.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != manifests {
		t.Errorf("%d manifests in the index, not %d", len(m.Manifests), manifests)
	}
	needed := map[string]bool{}
	for _, d := range m.Manifests {
		if d.Annotations[annotationRefName] == "" {
			t.Errorf("%s has no name", d.Digest)
		}
		needed[d.Digest.Hex] = true
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range append([]v1.Descriptor{inner.Config}, inner.Layers...) {
			needed[part.Digest.Hex] = true
		}
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		digest, _, err := hashFile(context.Background(), filepath.Join(dir, "blobs", "sha256", blob.Name()))
		if err != nil || digest != "sha256:"+blob.Name() {
			t.Errorf("blob %s is %s: %v", blob.Name(), digest, err)
		}
		if !needed[blob.Name()] {
			t.Errorf("blob %s is not needed", blob.Name())
		}
		delete(needed, blob.Name())
	}
	if len(needed) > 0 {
		t.Errorf("blobs are missing: %v", needed)
	}
}

func TestLayoutDamage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cases := map[string]struct {
		damage func(t *testing.T, dir string, r Release)
		says   string
	}{
		"artifact changed": {func(t *testing.T, dir string, r Release) {
			overwrite(t, blobFile(dir, r.Artifact.Digest), []byte("the artifacT"))
		}, "not what its name says"},
		"artifact gone": {func(t *testing.T, dir string, r Release) {
			remove(t, blobFile(dir, r.Artifact.Digest))
		}, "gone from"},
		"artifact is a link": {func(t *testing.T, dir string, r Release) {
			remove(t, blobFile(dir, r.Artifact.Digest))
			if err := os.Symlink("/etc/hostname", blobFile(dir, r.Artifact.Digest)); err != nil {
				t.Fatal(err)
			}
		}, "not what its name says"},
		"manifest changed": {func(t *testing.T, dir string, r Release) {
			overwrite(t, blobFile(dir, r.Digest), []byte("{}"))
		}, "not what its name says"},
		"index is no JSON": {func(t *testing.T, dir string, _ Release) {
			overwrite(t, filepath.Join(dir, indexFile), []byte("{"))
		}, "index is not readable"},
		"index is another's": {func(t *testing.T, dir string, _ Release) {
			overwrite(t, filepath.Join(dir, indexFile), []byte(`{"schemaVersion":3,"manifests":[]}`))
		}, "not an OCI image index"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			path, a := artifactFile(t, []byte("the artifact"))
			release := put(t, s, record("shop", "1.5.0", a), path)
			if _, err := s.Artifact(ctx, release, ""); err != nil {
				t.Fatal(err)
			}
			c.damage(t, filepath.Join(dir, "shop"), release)
			_, err := s.Get(ctx, "shop", "1.5.0")
			if err == nil {
				_, err = s.Artifact(ctx, release, "")
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func blobFile(dir, digest string) string {
	return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	remove(t, path)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLayoutHeals: what a damaged blob should be is put again.
func TestLayoutHeals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	path, a := artifactFile(t, []byte("shared by two versions"))
	put(t, s, record("shop", "1.5.0", a), path)
	overwrite(t, blobFile(filepath.Join(dir, "shop"), a.Digest), []byte("short"))
	put(t, s, record("shop", "1.5.1", a), path)
	standard(t, filepath.Join(dir, "shop"), 4)
}

func TestLayoutRefusesOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path, a := artifactFile(t, []byte("x"))
	for name, c := range map[string]struct {
		prepare func(dir string) error
		reason  Reason
		says    string
	}{
		"a directory with something else": {func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "shop"), 0o700), os.WriteFile(filepath.Join(dir, "shop", "main.go"), nil, 0o600))
		}, ReasonDenied, "is not a store: it holds \"main.go\""},
		"a layout of another version": {func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "shop"), 0o700),
				os.WriteFile(filepath.Join(dir, "shop", layoutFile), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o600))
		}, ReasonDenied, "not an OCI image layout of version 1"},
		"a file": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "shop"), nil, 0o600)
		}, ReasonUnreachable, "is a file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir)
			_, putErr := s.Put(ctx, record("shop", "1.5.0", a), path, evidence(t, noon))
			for _, err := range []error{putErr, s.Writable(ctx, "shop")} {
				var access *AccessError
				if !errors.As(err, &access) || access.Reason != c.reason || !access.Write || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// TestLayoutKeepsOthers: entries that others made in the layout stay.
func TestLayoutKeepsOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	path, a := artifactFile(t, []byte("x"))
	put(t, s, record("shop", "1.5.0", a), path)
	index := filepath.Join(dir, "shop", indexFile)
	data, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	foreign := `{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"` + definitionA + `","size":7,"platform":{"os":"linux"}}`
	overwrite(t, index, []byte(strings.Replace(string(data), `"manifests":[`, `"manifests":[`+foreign+",", 1)))
	put(t, s, record("shop", "1.5.1", a), path)
	if data, err = os.ReadFile(index); err != nil || !strings.Contains(string(data), foreign) {
		t.Fatalf("%s %v", data, err)
	}
}

// TestLayoutCancel: a writer that waits for the lock can be cancelled, and
// what a cancelled one did is undone.
func TestLayoutCancel(t *testing.T) {
	t.Parallel()
	at := Location{Directory: t.TempDir()}
	l := newLayout(at, "shop")
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan error, 1)
	var once sync.Once
	path, a := artifactFile(t, []byte("x"))
	l.reached = func(step string) {
		if step == "artifact" {
			once.Do(func() {
				_, err := open(t, at.Directory).Put(canceled(), record("shop", "1.5.1", a), path, evidence(t, noon))
				waiting <- err
				cancel()
			})
		}
	}
	s := &releases{at: at, places: map[string]backend{"shop": l}}
	_, err := s.Put(ctx, record("shop", "1.5.0", a), path, evidence(t, noon))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	standard(t, filepath.Join(at.Directory, "shop"), 0)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestLayoutManyReads: reading does not open the whole graph.
func TestLayoutManyReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	path, a := artifactFile(t, []byte("x"))
	for n := range 20 {
		put(t, s, record("shop", fmt.Sprintf("1.0.%d", n), a), path)
	}
	// With all other manifests gone, one release can still be read.
	keep, err := s.Get(context.Background(), "shop", "1.0.7")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		other, err := s.Get(context.Background(), "shop", fmt.Sprintf("1.0.%d", n))
		if err != nil {
			t.Fatal(err)
		}
		if other.Digest != keep.Digest {
			remove(t, blobFile(filepath.Join(dir, "shop"), other.Digest))
		}
	}
	if got, err := open(t, dir).Get(context.Background(), "shop", "1.0.7"); err != nil || got.Digest != keep.Digest {
		t.Fatal(err)
	}
}
