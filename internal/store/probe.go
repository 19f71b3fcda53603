// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// ProbeType is the artifact type of the manifest that a probe leaves in a
// registry. It has no tag, and registries that collect such things may.
const ProbeType = "application/vnd.tfdelivery.probe.v1"

func (s *releases) Probe(ctx context.Context, pipeline string) error {
	b, err := s.place(pipeline)
	if err != nil {
		return err
	}
	return b.probe(ctx)
}

// probe makes the beginning of a change that changes nothing, which makes an
// empty layout where there was none.
func (l *layout) probe(ctx context.Context) error {
	return l.update(ctx, func(transaction) error {
		return touch(filepath.Join(l.dir, filepath.FromSlash(blobDir)))
	})
}

// touch makes a file in a directory, and takes it away.
func touch(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// probe does all that keeping an event does, but the tag: some registries give
// rights to blobs and to manifests apart, and a blob that is there already is
// not sent.
func (r *remote) probe(ctx context.Context) error {
	if err := r.writable(ctx); err != nil {
		return err
	}
	empty := newContent(emptyType, emptyBlob)
	marker, err := manifest{ArtifactType: ProbeType, Config: empty.descriptor, Layers: []descriptor{empty.descriptor}}.content()
	if err != nil {
		return err
	}
	if err := r.upload(ctx, empty.descriptor, bytesBody(empty.data)); err != nil {
		return r.access(true, err)
	}
	return r.access(true, r.putManifest(ctx, marker.Digest, marker))
}
