// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// RecordSchema is the version of the record's format.
const RecordSchema = 1

// Record is what a release is made of. It is the config blob of the release's
// manifest and holds no times, paths or credentials, so that it is the same
// on every machine.
type Record struct {
	Schema     int      `json:"schema"` // set by Put
	Pipeline   string   `json:"pipeline"`
	Version    string   `json:"version"`
	Commit     string   `json:"commit,omitempty"`  // hex; empty for a directory
	Content    string   `json:"content,omitempty"` // digest of a directory's content
	Definition string   `json:"definition"`        // digest of the pipeline's definition
	Ref        string   `json:"ref,omitempty"`     // what was asked for, such as "main"
	Source     string   `json:"source,omitempty"`  // the repository's URL, without credentials
	Artifact   Artifact `json:"artifact"`
}

// Artifact describes the bytes of a release.
type Artifact struct {
	MediaType string `json:"media_type"`
	Digest    string `json:"digest"`            // "sha256:<hex>" of the file as it is
	DiffID    string `json:"diff_id,omitempty"` // of the uncompressed archive
	Size      int64  `json:"size"`              // bytes of the file as it is
	Files     int    `json:"files,omitempty"`   // in the archive
}

// Inputs is what decides which release a version stands for. The artifact
// follows from it, and a ref is only one of the names of a commit.
type Inputs struct {
	Pipeline, Version, Commit, Content, Definition string
}

// Inputs returns the record's inputs.
func (r Record) Inputs() Inputs {
	return Inputs{r.Pipeline, r.Version, r.Commit, r.Content, r.Definition}
}

var (
	pipelinePattern = lazyregexp.New(`^[a-z0-9]+(?:(?:__?|-+)[a-z0-9]+)*$`)
	digestPattern   = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)
	commitPattern   = lazyregexp.New(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	mediaPattern    = lazyregexp.New(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$`)
)

// Check tells what is wrong with a record, if anything.
func (r Record) Check() error {
	if err := checkPipeline(r.Pipeline); err != nil {
		return err
	}
	if err := CheckVersion(r.Version); err != nil {
		return err
	}
	switch {
	case r.Schema != RecordSchema:
		return fmt.Errorf("the record has schema %d and this version reads schema %d: use a newer version of the provider", r.Schema, RecordSchema)
	case (r.Commit == "") == (r.Content == ""):
		return errors.New("a record has either a commit or the digest of a directory's content")
	case r.Commit != "" && !commitPattern.MatchString(r.Commit):
		return fmt.Errorf("%q is not a commit", r.Commit)
	case r.Content != "" && !digestPattern.MatchString(r.Content):
		return fmt.Errorf("the content's digest %q is not sha256:<hex>", r.Content)
	case !digestPattern.MatchString(r.Definition):
		return fmt.Errorf("the definition's digest %q is not sha256:<hex>", r.Definition)
	case !digestPattern.MatchString(r.Artifact.Digest):
		return fmt.Errorf("the artifact's digest %q is not sha256:<hex>", r.Artifact.Digest)
	case r.Artifact.DiffID != "" && !digestPattern.MatchString(r.Artifact.DiffID):
		return fmt.Errorf("the artifact's diff id %q is not sha256:<hex>", r.Artifact.DiffID)
	case !mediaPattern.MatchString(r.Artifact.MediaType):
		return fmt.Errorf("%q is not a media type", r.Artifact.MediaType)
	case r.Artifact.Size < 0 || r.Artifact.Files < 0:
		return errors.New("the artifact's size is negative")
	case len(r.Ref) > 1024 || len(r.Source) > 4096 || !printable(r.Ref) || !printable(r.Source):
		return errors.New("the ref or the source is too long or not printable")
	}
	return nil
}

func checkPipeline(name string) error {
	if len(name) > 63 || !pipelinePattern.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a pipeline: use at most 63 lower-case letters and digits, with - or _ between them", name)
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// parseRecord reads a record from a registry or a disk, which may hold anything.
func parseRecord(data []byte) (Record, error) {
	var r Record
	if err := decodeStrict(data, &r); err != nil {
		return Record{}, err
	}
	if err := r.Check(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// decodeStrict reads exactly one JSON value. Unknown members are let through:
// a newer version may add some.
func decodeStrict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}
