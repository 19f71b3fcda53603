// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Media types of manifests and configs.
const (
	ReleaseType  = "application/vnd.tfdelivery.release.v1"
	EvidenceType = "application/vnd.tfdelivery.evidence.v1"
	EventType    = "application/vnd.tfdelivery.event.v1"

	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	emptyType    = "application/vnd.oci.empty.v1+json"
	configSuffix = ".config+json" // of the artifact types above
)

// Annotations. Those of the OCI image specification where it has one.
const (
	annotationRefName  = "org.opencontainers.image.ref.name"
	annotationTitle    = "org.opencontainers.image.title"
	annotationVersion  = "org.opencontainers.image.version"
	annotationRevision = "org.opencontainers.image.revision"
	annotationCreated  = "org.opencontainers.image.created"
	annotationSource   = "org.opencontainers.image.source"
	annotationSubject  = "io.tfdelivery.subject" // digest of the release that evidence is about
	annotationStage    = "io.tfdelivery.stage"
	annotationKind     = "io.tfdelivery.kind"
)

// Limits of what is read from outside.
const (
	maxManifest = 4 << 20
	maxConfig   = 4 << 20
	maxIndex    = 64 << 20
	maxLayers   = 4096
	maxTags     = 100_000
	// MaxEvidenceFile is the largest report or log, in bytes.
	MaxEvidenceFile = 64 << 20
	// MaxEvidenceFiles is how many a release has at most.
	MaxEvidenceFiles = 1024
)

// emptyBlob is the content that the OCI specification gives to things that
// need one and have none.
var emptyBlob = []byte("{}")

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// content is a small blob with its descriptor.
type content struct {
	descriptor
	data []byte
}

func newContent(mediaType string, data []byte) content {
	return content{descriptor{MediaType: mediaType, Digest: digestOf(data), Size: int64(len(data))}, data}
}

// jsonContent is the one encoding of what we write: encoding/json sorts maps
// and keeps the order of struct fields.
func jsonContent(mediaType string, value any) (content, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return content{}, err
	}
	return newContent(mediaType, bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

func (m manifest) content() (content, error) {
	m.SchemaVersion, m.MediaType = 2, manifestType
	return jsonContent(manifestType, m)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// parseManifest reads a manifest from outside, which must be one of ours.
func parseManifest(data []byte, artifactType string) (manifest, error) {
	var m manifest
	if err := decodeStrict(data, &m); err != nil {
		return m, corrupt("the manifest is not readable: %v", err)
	}
	switch {
	case m.SchemaVersion != 2 || m.MediaType != "" && m.MediaType != manifestType:
		return m, corrupt("it is not an OCI image manifest but %q", m.MediaType)
	case m.ArtifactType != artifactType || m.Config.MediaType != artifactType+configSuffix:
		return m, corrupt("the manifest is of type %q and not %q: something else was pushed under this tag", m.ArtifactType, artifactType)
	case len(m.Layers) == 0 || len(m.Layers) > maxLayers:
		return m, corrupt("the manifest has %d layers", len(m.Layers))
	case m.Config.Size > maxConfig:
		return m, corrupt("the config has %d bytes", m.Config.Size)
	}
	for _, d := range append([]descriptor{m.Config}, m.Layers...) {
		if !digestPattern.MatchString(d.Digest) || d.Size < 0 {
			return m, corrupt("the manifest refers to %q with %d bytes", d.Digest, d.Size)
		}
	}
	return m, nil
}

// releaseManifest is a pure function of the record.
func releaseManifest(record Record) (config, release content, err error) {
	if config, err = jsonContent(ReleaseType+configSuffix, record); err != nil {
		return
	}
	layer := descriptor{
		MediaType:   record.Artifact.MediaType,
		Digest:      record.Artifact.Digest,
		Size:        record.Artifact.Size,
		Annotations: map[string]string{annotationTitle: artifactName(record)},
	}
	annotations := map[string]string{
		annotationTitle:   record.Pipeline,
		annotationVersion: record.Version,
	}
	if record.Commit != "" {
		annotations[annotationRevision] = record.Commit
	}
	if record.Source != "" {
		annotations[annotationSource] = record.Source
	}
	release, err = manifest{
		ArtifactType: ReleaseType,
		Config:       config.descriptor,
		Layers:       []descriptor{layer},
		Annotations:  annotations,
	}.content()
	return config, release, err
}

// artifactName is what the artifact's file is called by tools that pull it.
func artifactName(record Record) string {
	extension := ""
	if strings.HasSuffix(record.Artifact.MediaType, ".tar+zstd") {
		extension = ".tar.zst"
	}
	return fmt.Sprintf("%s-%s%s", record.Pipeline, record.Version, extension)
}
