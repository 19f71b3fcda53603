// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/archive"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Make makes the planned release: it runs the pipeline on exactly the planned
// commit or content, and keeps the archive, the record and the evidence in the
// store. A release that exists already, made of the same inputs, is returned
// as it is and nothing is built. When a stage fails (*pipeline.StageError) or
// anything else goes wrong, there is no release and nothing in the store.
func (s *Service) Make(ctx context.Context, d pipeline.Definition, p Planned) (Made, error) {
	if d.Digest() != p.Definition || d.Name != p.Pipeline {
		return Made{}, fmt.Errorf("release %s was planned with another definition of the pipeline", p.ID)
	}
	if p.Source == "" {
		p.Source = sourceURL(d)
	}
	st, err := s.Store(ctx)
	if err != nil {
		return Made{}, err
	}
	before, err := s.existing(ctx, st, p)
	if !errors.Is(err, store.ErrNotFound) {
		return before, err
	}
	// What must fail, fails before anything is built.
	if err := s.CheckSecrets(d); err != nil {
		return Made{}, err
	}
	if err := st.Writable(ctx, p.Pipeline); err != nil {
		return Made{}, err
	}
	dir, err := os.MkdirTemp("", "delivery-release-")
	if err != nil {
		return Made{}, fmt.Errorf("make a directory to work in: %w", err)
	}
	defer func() {
		if err := removeAll(dir); err != nil {
			s.logf("%v", err)
		}
	}()
	b := build{Service: s, definition: d, planned: p, dir: dir}
	if err := b.run(ctx); err != nil {
		return Made{}, err
	}
	return s.keep(ctx, st, b)
}

// existing is the release if it was made before.
func (s *Service) existing(ctx context.Context, st store.Store, p Planned) (Made, error) {
	release, err := st.Get(ctx, p.Pipeline, p.Version)
	if err != nil {
		return Made{}, err
	}
	wanted := store.Record{Pipeline: p.Pipeline, Version: p.Version, Commit: p.Commit, Content: p.Content, Definition: p.Definition}
	if release.Inputs() != wanted.Inputs() {
		return Made{}, &store.ConflictError{Existing: release, Wanted: wanted}
	}
	if p.Digest != "" && p.Digest != release.Digest {
		return Made{}, replaced(p, release.Digest)
	}
	evidence, err := st.Evidence(ctx, release)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Made{}, err
	}
	s.logf("release %s exists already, made of the same inputs: nothing is built", p.ID)
	return made(release, evidence, p, true), nil
}

func made(release store.Release, evidence store.Evidence, p Planned, reused bool) Made {
	p.Digest, p.Ref, p.Source = release.Digest, release.Ref, release.Source
	return Made{Release: release, Planned: p, CreatedAt: evidence.CreatedAt, Checks: evidence.Checks, Reused: reused}
}

// CheckSecrets refuses a definition whose stages ask for secrets that nobody
// gives. The error is a [*Problem] that names all of them.
func (s *Service) CheckSecrets(d pipeline.Definition) error {
	problems := d.CheckSecrets(s.Secrets)
	if len(problems) == 0 {
		return nil
	}
	var missing []string
	for _, problem := range problems {
		missing = append(missing, problem.Message)
	}
	missing[0] = strings.ToUpper(missing[0][:1]) + missing[0][1:]
	return &Problem{"pipeline", "A secret is missing",
		strings.Join(missing, "; ") + ". Add it to secrets of the provider block, or take it out of the stage."}
}

// build is one making of a release.
type build struct {
	*Service
	definition pipeline.Definition
	planned    Planned
	dir        string // private

	archive  string // path
	summary  archive.Summary
	started  time.Time
	evidence store.Evidence
}

// run fills the archive and the evidence.
func (b *build) run(ctx context.Context) error {
	b.started = b.now()
	if builtElsewhere(b.definition) != nil {
		tree := filepath.Join(b.dir, "tree")
		if err := b.fetchElsewhere(ctx, tree); err != nil {
			return err
		}
		return b.pack(ctx, tree)
	}
	tree, err := b.runStages(ctx)
	if err != nil {
		return err
	}
	return b.pack(ctx, tree)
}

func (b *build) runStages(ctx context.Context) (tree string, err error) {
	checkout, done, err := b.source(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	dir := filepath.Join(b.dir, "stages")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	b.logf("making release %s", b.planned.ID)
	result, err := pipeline.Run(ctx, b.definition, pipeline.Options{
		Checkout: checkout,
		Dir:      dir,
		Secrets:  b.Secrets,
		Runner:   b.logged,
		Commit:   b.planned.Commit,
		Version:  b.planned.Version,
	})
	if err != nil {
		return "", err
	}
	b.evidence = b.evidenceOf(result)
	return result.Overlay, nil
}

func (b *build) evidenceOf(result pipeline.Result) store.Evidence {
	e := store.Evidence{Checks: make(map[string]store.Check, len(result.Checks))}
	for stage, c := range result.Checks {
		e.Checks[stage] = store.Check{
			Status: string(c.Status), Tests: c.Tests, Failures: c.Failures, Skipped: c.Skipped,
			Duration: c.Duration, Metrics: c.Metrics,
		}
	}
	for _, r := range result.Reports {
		kind := store.FileLog
		if r.Kind == pipeline.ReportJUnit {
			kind = store.FileJUnit
		}
		info, err := os.Stat(r.Path)
		if err != nil || info.Size() > store.MaxEvidenceFile || len(e.Files) == store.MaxEvidenceFiles {
			b.logf("report %s of stage %s is not kept: it is too large, or one too many", r.Name, r.Stage)
			continue
		}
		e.Files = append(e.Files, store.EvidenceFile{Stage: r.Stage, Kind: kind, Name: r.Name, Path: r.Path})
	}
	return e
}

// pack writes the archive of a tree.
func (b *build) pack(ctx context.Context, tree string) error {
	var selection archive.Selection
	if a := b.definition.Artifact; a != nil {
		selection = archive.Selection{Include: a.Include, Exclude: a.Exclude}
	}
	b.archive = filepath.Join(b.dir, "artifact.tar.zst")
	f, err := os.OpenFile(b.archive, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	b.summary, err = archive.Write(ctx, f, tree, selection)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("pack release %s: %w", b.planned.ID, err)
	}
	if b.summary.Files == 0 {
		return &Problem{"pipeline", "The release would be empty", "No file of the source and the stages' artifacts is in the artifact: look at its include (" +
			strings.Join(selection.Include, ", ") + ") and exclude (" + strings.Join(selection.Exclude, ", ") + ")."}
	}
	b.logf("packed %d files into %d bytes", b.summary.Files, b.summary.Size)
	return nil
}

// keep puts the release into the store.
func (s *Service) keep(ctx context.Context, st store.Store, b build) (Made, error) {
	p := b.planned
	record := store.Record{
		Schema:   store.RecordSchema,
		Pipeline: p.Pipeline, Version: p.Version, Commit: p.Commit, Content: p.Content,
		Definition: p.Definition, Ref: p.Ref, Source: p.Source,
		Artifact: store.Artifact{
			MediaType: deployer.MediaTypeArchive, Digest: b.summary.Digest, DiffID: b.summary.DiffID,
			Size: b.summary.Size, Files: b.summary.Files,
		},
	}
	digest, err := record.ManifestDigest()
	if err != nil {
		return Made{}, err
	}
	if p.Digest != "" && p.Digest != digest {
		return Made{}, &Problem{"", "The release cannot be made again", fmt.Sprintf(
			"Release %s had the digest %s and would now have %s: its stages give other bytes each time, or another version of the provider packed it. Make the stages reproducible, use a store that keeps its releases, or set another version.",
			p.ID, p.Digest, digest)}
	}
	b.evidence.CreatedAt = b.now().UTC().Truncate(time.Second)
	release, err := st.Put(ctx, record, b.archive, b.evidence)
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.SameInputs {
		// Somebody made it at the same time, with other bytes. Theirs is as good.
		return s.existing(ctx, st, p)
	}
	if err != nil {
		return Made{}, err
	}
	if release.Digest != digest {
		return s.existing(ctx, st, p)
	}
	s.logf("release %s is in the store %s", p.ID, st.Location())
	return made(release, b.evidence, p, false), nil
}

func replaced(p Planned, digest string) error {
	return &Problem{"version", "The release was replaced in the store", fmt.Sprintf(
		"Release %s had the digest %s when it was made, and the store has %s under this version now. A release never changes: somebody pushed over it. Find out who, and set another version.",
		p.ID, p.Digest, digest)}
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Service) logf(format string, args ...any) {
	if s.Log != nil {
		s.Log(fmt.Sprintf(format, args...))
	}
}

// removeAll removes a directory in which stages may have left directories that
// nobody may write to, such as Go's module cache.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s, where the release was made: %w", dir, err)
	}
	return nil
}
