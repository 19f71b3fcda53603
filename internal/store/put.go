// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
)

func (s *releases) Put(ctx context.Context, record Record, artifact string, evidence Evidence) (Release, error) {
	record.Schema = RecordSchema
	if err := record.Check(); err != nil {
		return Release{}, err
	}
	if err := evidence.check(); err != nil {
		return Release{}, err
	}
	b, err := s.place(record.Pipeline)
	if err != nil {
		return Release{}, err
	}
	var kept Release
	err = b.update(ctx, func(tx transaction) (err error) {
		kept, err = putRelease(ctx, b, tx, record, artifact, evidence)
		return err
	})
	if err != nil {
		return Release{}, err
	}
	return kept, nil
}

func putRelease(ctx context.Context, b backend, tx transaction, record Record, artifact string, evidence Evidence) (Release, error) {
	existing, err := readRelease(ctx, b, tx, record.Pipeline, record.Version)
	if err == nil {
		return sameOrConflict(existing, record)
	}
	if !errors.Is(err, ErrNotFound) {
		return Release{}, err
	}
	config, release, err := releaseManifest(record)
	if err != nil {
		return Release{}, err
	}
	layer := descriptor{MediaType: record.Artifact.MediaType, Digest: record.Artifact.Digest, Size: record.Artifact.Size}
	if err := tx.putFile(ctx, layer, artifact); err != nil {
		return Release{}, fmt.Errorf("keep the artifact of %s:%s: %w", record.Pipeline, record.Version, err)
	}
	if err := tx.put(ctx, config); err != nil {
		return Release{}, err
	}
	if err := putEvidence(ctx, tx, record, release, evidence); err != nil {
		return Release{}, fmt.Errorf("keep the evidence of %s:%s: %w", record.Pipeline, record.Version, err)
	}
	tag, err := EncodeTag(record.Version)
	if err != nil {
		return Release{}, err
	}
	now, err := tx.tag(ctx, tag, release)
	if err != nil {
		return Release{}, err
	}
	if now.Digest == release.Digest {
		return Release{Record: record, Digest: release.Digest, Reference: b.reference(release.Digest)}, nil
	}
	// Another process was faster.
	if existing, err = readRelease(ctx, b, tx, record.Pipeline, record.Version); err != nil {
		return Release{}, err
	}
	return sameOrConflict(existing, record)
}

// ManifestDigest is the digest that the release's manifest has, in any store.
func (r Record) ManifestDigest() (string, error) {
	r.Schema = RecordSchema
	_, release, err := releaseManifest(r)
	return release.Digest, err
}

// sameOrConflict accepts an existing release made of the same inputs and
// bytes. Bytes are the same, too, when only their compression differs.
func sameOrConflict(existing Release, wanted Record) (Release, error) {
	same := existing.Inputs() == wanted.Inputs()
	a, b := existing.Artifact, wanted.Artifact
	if same && (a.Digest == b.Digest || a.DiffID != "" && a.DiffID == b.DiffID) {
		return existing, nil
	}
	return Release{}, &ConflictError{Existing: existing, Wanted: wanted, SameInputs: same}
}

// reader is what reading needs of a backend or a transaction.
type reader interface {
	manifest(ctx context.Context, ref string) (content, error)
	blob(ctx context.Context, d descriptor) ([]byte, error)
}

func readRelease(ctx context.Context, b backend, r reader, pipeline, version string) (Release, error) {
	tag, err := EncodeTag(version)
	if err != nil {
		return Release{}, err
	}
	raw, err := r.manifest(ctx, tag)
	if err != nil {
		return Release{}, fmt.Errorf("release %s:%s: %w", pipeline, version, err)
	}
	record, err := readRecord(ctx, r, raw)
	if err == nil && (record.Pipeline != pipeline || record.Version != version) {
		err = corrupt("the tag holds the record of %s:%s", record.Pipeline, record.Version)
	}
	if err != nil {
		return Release{}, fmt.Errorf("release %s:%s in %s: %w", pipeline, version, b.reference(raw.Digest), err)
	}
	return Release{Record: record, Digest: raw.Digest, Reference: b.reference(raw.Digest)}, nil
}

func readRecord(ctx context.Context, r reader, raw content) (Record, error) {
	m, err := parseManifest(raw.data, ReleaseType)
	if err != nil {
		return Record{}, err
	}
	data, err := r.blob(ctx, m.Config)
	if err != nil {
		return Record{}, err
	}
	record, err := parseRecord(data)
	if err != nil {
		return Record{}, corrupt("the record is not readable: %v", err)
	}
	layer := m.Layers[0]
	if len(m.Layers) != 1 || layer.Digest != record.Artifact.Digest || layer.Size != record.Artifact.Size {
		return Record{}, corrupt("the manifest's layers are not the record's artifact")
	}
	return record, nil
}
