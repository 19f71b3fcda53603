// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
)

// index is index.json: what the layout's tags stand for. Entries that are not
// ours are kept as they are.
type index struct {
	tags   map[string]descriptor
	others []json.RawMessage
	info   fs.FileInfo // of the file it was read from
}

type indexJSON struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	Manifests     []json.RawMessage `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func parseIndex(data []byte) (*index, error) {
	if len(data) > maxIndex {
		return nil, corrupt("the index has more than %d MiB", maxIndex>>20)
	}
	var raw indexJSON
	if err := decodeStrict(data, &raw); err != nil {
		return nil, corrupt("the index is not readable: %v", err)
	}
	if raw.SchemaVersion != 2 || raw.MediaType != "" && raw.MediaType != indexType {
		return nil, corrupt("it is not an OCI image index")
	}
	if len(raw.Manifests) > maxTags {
		return nil, corrupt("the index has %d entries", len(raw.Manifests))
	}
	x := &index{tags: make(map[string]descriptor, len(raw.Manifests))}
	for _, entry := range raw.Manifests {
		var d descriptor
		err := json.Unmarshal(entry, &d)
		tag := d.Annotations[annotationRefName]
		_, twice := x.tags[tag]
		switch {
		case err == nil && d.MediaType != manifestType, err == nil && tag == "":
			x.others = append(x.others, entry)
		case err != nil || !digestPattern.MatchString(d.Digest) || d.Size < 0 || d.Size > maxManifest:
			return nil, corrupt("the index has an entry %.200q", entry)
		case twice:
			return nil, corrupt("the index has the tag %q twice", tag)
		default:
			d.Annotations = nil
			x.tags[tag] = d
		}
	}
	return x, nil
}

// with is a copy in which the tag stands for something.
func (x *index) with(tag string, d descriptor) *index {
	tags := maps.Clone(x.tags)
	if tags == nil {
		tags = map[string]descriptor{}
	}
	tags[tag] = d
	return &index{tags: tags, others: x.others}
}

func (x *index) encode() ([]byte, error) {
	raw := indexJSON{SchemaVersion: 2, MediaType: indexType, Manifests: make([]json.RawMessage, 0, len(x.tags))}
	for _, tag := range slices.Sorted(maps.Keys(x.tags)) {
		d := x.tags[tag]
		d.Annotations = map[string]string{annotationRefName: tag}
		entry, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		raw.Manifests = append(raw.Manifests, entry)
	}
	raw.Manifests = append(raw.Manifests, x.others...)
	if len(raw.Manifests) > maxTags {
		return nil, errors.New("the store has too many entries for one pipeline")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(raw); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
