// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package release is how a release comes to be: from a source through a
// pipeline into an archive, a record and the store, with its evidence.
//
// It follows the phases of a plan. [Service.Observe] looks at the source and
// the store, when Terraform reads. [Compute] is a pure function of the
// configuration, the prior state and what was observed, so that planning again
// at apply gives the same. [Service.Make] makes exactly what was planned.
package release

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// Service makes releases with what the provider block gives.
type Service struct {
	// Store opens the store when it is needed.
	Store func(ctx context.Context) (store.Store, error)
	// Credentials are for Git hosts.
	Credentials []source.Credentials
	// Secrets are the values that stages may ask for, by name.
	Secrets map[string]string
	// Runner chooses who runs a stage; nil: all run here.
	Runner func(pipeline.Stage) pipeline.Runner
	// Log is told what goes on, line by line, without secrets; nil: nobody is.
	Log func(line string)
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// Commit is one that a release brings.
type Commit struct {
	SHA     string `json:"sha"`
	Author  string `json:"author"`
	Subject string `json:"subject"`
}

// Prior is the release in the state; the zero value is none.
type Prior struct {
	ID         string   `json:"id,omitempty"`
	Version    string   `json:"version,omitempty"`
	Commit     string   `json:"commit,omitempty"`
	Content    string   `json:"content,omitempty"`
	Definition string   `json:"definition,omitempty"` // digest
	Digest     string   `json:"digest,omitempty"`     // of the manifest
	Commits    []Commit `json:"commits,omitempty"`
}

// Planned is a release as a plan shows it. With the definition it is the
// recipe from which Make makes it, as often as needed.
type Planned struct {
	ID         string   `json:"id"` // "<pipeline>:<version>"
	Pipeline   string   `json:"pipeline"`
	Version    string   `json:"version"`
	Commit     string   `json:"commit,omitempty"`
	Content    string   `json:"content,omitempty"` // digest of a directory, or of what was built elsewhere
	Definition string   `json:"definition"`        // digest
	Ref        string   `json:"ref,omitempty"`
	Source     string   `json:"source,omitempty"`  // the repository's URL, without credentials
	Commits    []Commit `json:"commits,omitempty"` // new since the prior release, newest first
	// Digest of the manifest, when the release is known to exist already.
	Digest string `json:"digest,omitempty"`
}

// Recipe is all that Make needs, as JSON for private state: a deployment makes
// a release again that an empty local store does not have.
type Recipe struct {
	Definition json.RawMessage `json:"definition"`
	Planned    Planned         `json:"planned"`
}

// Made is a release with its evidence.
type Made struct {
	store.Release
	// Planned is the plan with what is known now: to be kept as the recipe.
	Planned   Planned
	CreatedAt time.Time
	Checks    map[string]store.Check
	// Reused: it existed already, made of the same inputs.
	Reused bool
}

// Problem is an error that has an attribute.
type Problem struct {
	Attribute string // "pipeline", "ref" or "version"; empty: none in particular
	Summary   string
	Detail    string // what failed, why and what to do
}

func (p *Problem) Error() string {
	return strings.TrimSuffix(p.Summary, ".") + ": " + p.Detail
}

// AsProblem gives the problem in an error, or makes one of any other error of
// this package at the attribute where it belongs.
func AsProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var stage *pipeline.StageError
	if errors.As(err, &stage) {
		return &Problem{"pipeline", "A stage failed, so there is no release", err.Error()}
	}
	var access *store.AccessError
	var conflict *store.ConflictError
	switch {
	case errors.As(err, &access):
		return &Problem{"", "The store cannot be used", err.Error()}
	case errors.As(err, &conflict):
		return &Problem{"version", "The version is taken", err.Error()}
	}
	switch source.KindOf(err) {
	case "", source.Failed:
		return &Problem{"", "The release could not be made", err.Error()}
	case source.NoSuchRef:
		return &Problem{"ref", "There is no such ref", err.Error()}
	case source.Changed:
		return &Problem{"", "The source changed since the plan", err.Error()}
	}
	return &Problem{"pipeline", "The source cannot be read", err.Error()}
}
