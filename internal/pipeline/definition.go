// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package pipeline is the stage graph: it reads and checks a pipeline's
// definition, runs its stages in clean checkouts, reads their reports, and
// says what became of each.
package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// DefaultTimeout bounds one attempt of a stage that gives no timeout.
const DefaultTimeout = time.Hour

// maxDefinition bounds the JSON of a definition, in bytes.
const maxDefinition = 4 << 20

// Definition is a pipeline as users write it. A member that is not set is not
// in its JSON, so that members added later change no digest.
type Definition struct {
	Name     string    `json:"name"`
	Source   *Source   `json:"source,omitempty"`
	Stages   []Stage   `json:"stages,omitempty"` // sorted by name
	Artifact *Artifact `json:"artifact,omitempty"`
}

// Source is where the files come from: exactly one of its members.
type Source struct {
	Git       *GitSource       `json:"git,omitempty"`
	Directory *DirectorySource `json:"directory,omitempty"`
}

// GitSource is a Git repository.
type GitSource struct {
	URL        string `json:"url"`
	Path       string `json:"path,omitempty"`
	Submodules bool   `json:"submodules,omitempty"`
}

// DirectorySource is a directory of the machine where Terraform runs.
type DirectorySource struct {
	Path string `json:"path"`
}

// Stage is one step of the graph.
type Stage struct {
	Name         string   `json:"name"`
	Needs        []string `json:"needs,omitempty"` // names of stages that must have passed
	Commands     []string `json:"commands,omitempty"`
	Timeout      string   `json:"timeout,omitempty"` // of one attempt; default one hour
	Retries      int      `json:"retries,omitempty"` // further attempts after a failed one
	AllowFailure bool     `json:"allow_failure,omitempty"`

	EnvironmentVariables map[string]string `json:"environment_variables,omitempty"`
	Secrets              []string          `json:"secrets,omitempty"` // names of the provider's secrets

	// Artifacts are globs of files that are handed to the stages that need
	// this one, and into the release.
	Artifacts []string `json:"artifacts,omitempty"`
	Reports   *Reports `json:"reports,omitempty"`
}

// Reports are globs of files that a stage writes for others to judge it by.
type Reports struct {
	JUnit []string `json:"junit,omitempty"`
}

// Artifact says what of the checkout and the stages' artifacts is released, or
// names bytes that were built elsewhere.
type Artifact struct {
	Include []string `json:"include,omitempty"` // globs; default all
	Exclude []string `json:"exclude,omitempty"`
	URL     string   `json:"url,omitempty"` // instead of source and stages
	SHA256  string   `json:"sha256,omitempty"`
}

// TimeoutDuration is the bound of one attempt.
func (s Stage) TimeoutDuration() time.Duration {
	if d, err := time.ParseDuration(s.Timeout); err == nil && d > 0 {
		return d
	}
	return DefaultTimeout
}

// JUnit is the stage's JUnit globs.
func (s Stage) JUnit() []string {
	if s.Reports == nil {
		return nil
	}
	return s.Reports.JUnit
}

// Parse reads a definition's JSON. It refuses unknown members; what the
// values mean is for Validate.
func Parse(data []byte) (Definition, error) {
	if len(data) > maxDefinition {
		return Definition{}, fmt.Errorf("pipeline definition: %d bytes are more than the %d allowed", len(data), maxDefinition)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var d Definition
	if err := decoder.Decode(&d); err != nil {
		return Definition{}, fmt.Errorf("pipeline definition: %w", describeJSONError(data, err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Definition{}, errors.New("pipeline definition: there is something after its end")
	}
	return d.normal(), nil
}

// JSON is the canonical form: the same definition gives the same bytes,
// whatever the order in which its unordered lists were written.
func (d Definition) JSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d.normal()); err != nil {
		return nil, fmt.Errorf("pipeline definition: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Digest is "sha256:" and the hex SHA-256 of the canonical JSON. Where a
// directory is does not count: its content does, and is an input of its own.
func (d Definition) Digest() string {
	if d.Source != nil && d.Source.Directory != nil {
		d.Source = &Source{Directory: &DirectorySource{}}
	}
	data, err := d.JSON()
	if err != nil { // strings, numbers and booleans always encode
		panic(err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// normal sorts every list whose order means nothing and drops empty members.
func (d Definition) normal() Definition {
	d.Stages = slices.Clone(d.Stages)
	slices.SortStableFunc(d.Stages, func(a, b Stage) int { return strings.Compare(a.Name, b.Name) })
	for i := range d.Stages {
		s := &d.Stages[i]
		s.Needs, s.Secrets, s.Artifacts = sorted(s.Needs), sorted(s.Secrets), sorted(s.Artifacts)
		if s.Reports != nil {
			s.Reports = &Reports{JUnit: sorted(s.Reports.JUnit)}
			if len(s.Reports.JUnit) == 0 {
				s.Reports = nil
			}
		}
	}
	if a := d.Artifact; a != nil {
		d.Artifact = &Artifact{Include: sorted(a.Include), Exclude: sorted(a.Exclude), URL: a.URL, SHA256: a.SHA256}
		if len(a.Include) == 0 && len(a.Exclude) == 0 && a.URL == "" && a.SHA256 == "" {
			d.Artifact = nil
		}
	}
	return d
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func describeJSONError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := data[:min(int(syntax.Offset), len(data))]
		return fmt.Errorf("line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
	}
	return err
}
