// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// evidenceSchema is the version of the evidence's format.
const evidenceSchema = 1

// checksKind is the kind of evidence that comes with every release.
const checksKind = "checks"

// evidenceConfig is the config blob of evidence.
type evidenceConfig struct {
	Schema    int              `json:"schema"`
	Pipeline  string           `json:"pipeline"`
	Version   string           `json:"version"`
	Release   string           `json:"release"` // digest of its manifest
	CreatedAt time.Time        `json:"created_at"`
	Checks    map[string]Check `json:"checks,omitempty"`
}

func (e Evidence) check() error {
	if e.CreatedAt.IsZero() {
		return errors.New("evidence needs the time when the release was made")
	}
	if len(e.Files) > MaxEvidenceFiles {
		return fmt.Errorf("the stages left %d reports and logs, and at most %d can be kept", len(e.Files), MaxEvidenceFiles)
	}
	for _, f := range e.Files {
		if f.Kind != FileJUnit && f.Kind != FileLog {
			return fmt.Errorf("evidence file %s of stage %s is of unknown kind %q", f.Name, f.Stage, f.Kind)
		}
		info, err := os.Stat(f.Path)
		if err != nil {
			return err
		}
		if info.Size() > MaxEvidenceFile {
			return fmt.Errorf("report %s of stage %s has %d MiB, and at most %d can be kept: write less, or do not name it as a report", f.Name, f.Stage, info.Size()>>20, MaxEvidenceFile>>20)
		}
	}
	return nil
}

// evidenceTags are the tags that evidence of a release may have, in the order
// in which they are tried.
func evidenceTags(version, kind, release string) ([]string, error) {
	tag, err := EncodeTag(version)
	if err != nil {
		return nil, err
	}
	first := "e." + tag + "." + kind
	return []string{first, first + "-" + short(release)}, nil
}

// putEvidence writes evidence unless there is some of the same bytes already,
// as after a run that was interrupted before it tagged the release.
func putEvidence(ctx context.Context, tx transaction, record Record, release content, evidence Evidence) error {
	tags, err := evidenceTags(record.Version, checksKind, release.Digest)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		there, err := tx.manifest(ctx, tag)
		if errors.Is(err, ErrNotFound) {
			var raw content
			if raw, err = evidenceContent(ctx, tx, record, release, evidence); err != nil {
				return err
			}
			there, err = tx.tag(ctx, tag, raw)
		}
		if err != nil {
			return err
		}
		if isAbout(there, release.Digest) {
			return nil
		}
	}
	return fmt.Errorf("the tags %s are taken by something else", strings.Join(tags, " and "))
}

func isAbout(raw content, release string) bool {
	m, err := parseManifest(raw.data, EvidenceType)
	return err == nil && m.Annotations[annotationSubject] == release
}

// evidenceContent puts the parts of the evidence and gives its manifest.
func evidenceContent(ctx context.Context, tx transaction, record Record, release content, evidence Evidence) (content, error) {
	config, err := jsonContent(EvidenceType+configSuffix, evidenceConfig{
		Schema: evidenceSchema, Pipeline: record.Pipeline, Version: record.Version,
		Release: release.Digest, CreatedAt: evidence.CreatedAt.UTC(), Checks: evidence.Checks,
	})
	if err != nil {
		return content{}, err
	}
	if err := tx.put(ctx, config); err != nil {
		return content{}, err
	}
	m := manifest{
		ArtifactType: EvidenceType,
		Config:       config.descriptor,
		Annotations:  map[string]string{annotationSubject: release.Digest, annotationKind: checksKind},
	}
	for _, file := range evidence.Files {
		layer, err := putEvidenceFile(ctx, tx, file)
		if err != nil {
			return content{}, err
		}
		m.Layers = append(m.Layers, layer)
	}
	if len(m.Layers) == 0 {
		empty := newContent(emptyType, emptyBlob)
		if err := tx.put(ctx, empty); err != nil {
			return content{}, err
		}
		m.Layers = []descriptor{empty.descriptor}
	}
	return m.about(ctx, tx, release)
}

// about gives the manifest a release as its subject where standard tools find
// it by that.
func (m manifest) about(ctx context.Context, tx transaction, release content) (content, error) {
	m.Subject = &release.descriptor
	raw, err := m.content()
	if err != nil {
		return content{}, err
	}
	if ok, err := tx.linked(ctx, release, raw); ok || err != nil {
		return raw, err
	}
	m.Subject = nil
	return m.content()
}

func putEvidenceFile(ctx context.Context, tx transaction, file EvidenceFile) (descriptor, error) {
	digest, size, err := hashFile(ctx, file.Path)
	if err != nil {
		return descriptor{}, err
	}
	layer := descriptor{MediaType: "text/plain", Digest: digest, Size: size}
	if file.Kind == FileJUnit {
		layer.MediaType = "application/xml"
	}
	if err := tx.putFile(ctx, layer, file.Path); err != nil {
		return descriptor{}, err
	}
	layer.Annotations = map[string]string{
		annotationTitle: file.Stage + "/" + strings.TrimLeft(file.Name, "/"),
		annotationStage: file.Stage,
		annotationKind:  file.Kind,
	}
	return layer, nil
}

func (s *releases) Evidence(ctx context.Context, release Release) (Evidence, error) {
	b, err := s.place(release.Pipeline)
	if err != nil {
		return Evidence{}, err
	}
	tags, err := evidenceTags(release.Version, checksKind, release.Digest)
	if err != nil {
		return Evidence{}, err
	}
	for _, tag := range tags {
		raw, err := b.manifest(ctx, tag)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return Evidence{}, err
		case isAbout(raw, release.Digest):
			return readEvidence(ctx, b, raw, release)
		}
	}
	return Evidence{}, fmt.Errorf("evidence of release %s: %w", release.ID(), ErrNotFound)
}

func readEvidence(ctx context.Context, r reader, raw content, release Release) (Evidence, error) {
	m, err := parseManifest(raw.data, EvidenceType)
	if err != nil {
		return Evidence{}, err
	}
	data, err := r.blob(ctx, m.Config)
	if err != nil {
		return Evidence{}, err
	}
	var config evidenceConfig
	if err := decodeStrict(data, &config); err != nil || config.Schema != evidenceSchema {
		return Evidence{}, corrupt("the evidence of release %s is not readable (schema %d): %v", release.ID(), config.Schema, err)
	}
	evidence := Evidence{CreatedAt: config.CreatedAt, Checks: config.Checks}
	for _, layer := range m.Layers {
		if layer.MediaType == emptyType {
			continue
		}
		stage := layer.Annotations[annotationStage]
		evidence.Files = append(evidence.Files, EvidenceFile{
			Stage: stage,
			Kind:  layer.Annotations[annotationKind],
			Name:  strings.TrimPrefix(layer.Annotations[annotationTitle], stage+"/"),
			Size:  layer.Size,
		})
	}
	return evidence, nil
}
