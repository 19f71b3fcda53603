// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// How many commits are listed: of an update, and of a first release, before
// which there is nothing to compare with.
const (
	mostCommits  = 100
	firstCommits = 20
)

// Request says what to observe.
type Request struct {
	Definition pipeline.Definition
	Ref        string // as configured; empty for a directory
	Version    string // as configured; empty: derived
	Prior      Prior
	// Previous is what was observed last, if anything: what cannot have
	// changed since is not looked at again.
	Previous *Observation
}

// Observation is what was found in the source and the store. It is small, goes
// into private state as JSON and holds no credentials.
type Observation struct {
	Schema  int    `json:"schema"`
	Source  string `json:"source"` // digest of the definition's source
	Ref     string `json:"ref,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Content string `json:"content,omitempty"`
	// Nearest is where the commit is among version tags.
	Nearest source.Description `json:"nearest"`
	Tags    string             `json:"tags,omitempty"` // digest of all version tags
	// Since is the commit after which Commits are new; empty: none.
	Since   string   `json:"since,omitempty"`
	Commits []Commit `json:"commits,omitempty"`
	// Existing is the store's release of the version that was wanted then.
	Existing *Existing `json:"existing,omitempty"`
}

// Existing is a release that the store has.
type Existing struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Content    string `json:"content,omitempty"`
	Definition string `json:"definition"`
	Digest     string `json:"digest"` // of the manifest
	Ref        string `json:"ref,omitempty"`
	Source     string `json:"source,omitempty"`
}

const observationSchema = 1

// Answers tells whether an observation is about this source and ref. If not,
// as in a create, or when one of them was changed, they have to be observed
// while planning.
func (o Observation) Answers(d pipeline.Definition, ref string) bool {
	return o.Schema == observationSchema && o.Source == sourceDigest(d) && o.Ref == ref
}

// Observe resolves the source and looks into the store. What keeps it from
// resolving is the error; what only keeps it from looking into the store is a
// warning, since a release that exists can be found at apply.
func (s *Service) Observe(ctx context.Context, r Request) (Observation, []string, error) {
	o := Observation{Schema: observationSchema, Source: sourceDigest(r.Definition), Ref: r.Ref}
	var err error
	switch src := r.Definition.Source; {
	case src == nil:
		o.Content, err = elsewhere(r.Definition)
	case src.Directory != nil:
		o.Content, err = source.Directory{Path: src.Directory.Path}.Digest(ctx)
	case r.Ref == "":
		err = errNoRef
	default:
		err = s.observeGit(ctx, r, &o)
	}
	if err != nil {
		return Observation{}, nil, err
	}
	warning := s.observeStore(ctx, r, &o)
	if warning != "" {
		return o, []string{warning}, nil
	}
	return o, nil, nil
}

var errNoRef = &Problem{"ref", "A ref is missing", "The pipeline's source is a Git repository: name the branch, tag or commit to release, such as ref = \"main\"."}

func gitSource(d pipeline.Definition) source.Git {
	g := d.Source.Git
	return source.Git{URL: g.URL, Path: g.Path, Submodules: g.Submodules}
}

// observeGit costs one round trip when nothing moved.
func (s *Service) observeGit(ctx context.Context, r Request, o *Observation) error {
	repository, err := source.OpenGit(ctx, gitSource(r.Definition), s.Credentials)
	if err != nil {
		return err
	}
	defer func() { _ = repository.Close() }()
	refs, err := repository.Heads(ctx)
	if err != nil {
		return err
	}
	if o.Commit, _, err = refs.Resolve(r.Ref); err != nil {
		return err
	}
	o.Tags = versionTags(refs)
	before := r.Previous
	if before != nil && (before.Source != o.Source || before.Commit != o.Commit || before.Tags != o.Tags || before.Schema != o.Schema) {
		before = nil
	}
	if before != nil {
		o.Nearest = before.Nearest
	} else if o.Nearest, err = repository.Describe(ctx, o.Commit, refs); err != nil {
		return err
	}
	o.Since = r.Prior.Commit
	switch {
	case o.Since == o.Commit:
	case before != nil && before.Since == o.Since:
		o.Commits = before.Commits
	default:
		limit := mostCommits
		if o.Since == "" {
			limit = firstCommits
		}
		log, err := repository.Log(ctx, o.Since, o.Commit, limit)
		if err != nil {
			return err
		}
		for _, c := range log {
			o.Commits = append(o.Commits, Commit{SHA: c.SHA, Author: c.Author, Subject: c.Subject})
		}
	}
	return nil
}

// observeStore looks for a release of the version that would be planned now.
func (s *Service) observeStore(ctx context.Context, r Request, o *Observation) (warning string) {
	version, err := versionOf(r.Definition, r.Version, *o)
	if err != nil {
		return "" // Compute says so
	}
	st, err := s.Store(ctx)
	if err != nil {
		return err.Error()
	}
	existing, err := st.Get(ctx, r.Definition.Name, version)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ""
	case err != nil:
		return fmt.Sprintf("Whether release %s:%s exists already could not be seen: %v", r.Definition.Name, version, err)
	}
	o.Existing = &Existing{
		Version: existing.Version, Commit: existing.Commit, Content: existing.Content,
		Definition: existing.Definition, Digest: existing.Digest, Ref: existing.Ref, Source: existing.Source,
	}
	return ""
}

// versionTags changes when any version tag does.
func versionTags(refs source.Refs) string {
	var lines []string
	for tag, commit := range refs.Tags {
		if _, ok := source.VersionOf(tag); ok {
			lines = append(lines, tag+" "+commit)
		}
	}
	slices.Sort(lines)
	return digest(strings.Join(lines, "\n"))
}

// sourceDigest changes when the definition's source does.
func sourceDigest(d pipeline.Definition) string {
	data, err := pipeline.Definition{Source: d.Source, Artifact: builtElsewhere(d)}.JSON()
	if err != nil {
		return "" // matches nothing that was observed
	}
	return digest(string(data))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}
