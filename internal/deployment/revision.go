// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// unknownInJSON is deployer.UnknownMarker as it stands inside JSON text.
var unknownInJSON = func() []byte {
	b, _ := json.Marshal(deployer.UnknownMarker)
	return b
}()

func holdsUnknown(raw json.RawMessage) bool { return bytes.Contains(raw, unknownInJSON) }

// revisionIdentity is what a revision's id hashes. The release id stands for
// commit and pipeline definition: a release is immutable, and the artifact's
// digest, recorded beside the id, is verified at Prepare. Fields are only ever
// added with omitempty, so that ids survive a provider upgrade.
type revisionIdentity struct {
	ReleaseID      string            `json:"release_id"`
	Deployer       string            `json:"deployer"`
	Config         json.RawMessage   `json:"config"`
	Variables      map[string]string `json:"variables,omitempty"`
	SecretsVersion int64             `json:"secrets_version,omitempty"`
}

// RevisionID is "<version>-<12 hex>": readable in a directory listing, and the
// same wherever the same is asked for. revisionConfig is the canonical JSON of
// the configuration's revision part.
func RevisionID(spec Spec, revisionConfig json.RawMessage) string {
	b, err := json.Marshal(revisionIdentity{
		ReleaseID:      spec.ReleaseID,
		Deployer:       spec.Deployer,
		Config:         revisionConfig,
		Variables:      spec.Variables,
		SecretsVersion: spec.SecretsVersion,
	})
	if err != nil {
		panic(err) // strings, numbers and JSON that was parsed already
	}
	sum := sha256.Sum256(b)
	_, version, _ := strings.Cut(spec.ReleaseID, ":")
	return directoryName(version) + "-" + hex.EncodeToString(sum[:6])
}

// directoryName keeps of a version what is allowed in a revision id.
func directoryName(version string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, version)
	const most = 64 - 13
	if len(name) > most {
		name = name[:most]
	}
	if name == "" || name[0] == '.' || name[0] == '-' {
		name = "r" + name
	}
	return name[:min(len(name), most)]
}

// describeRevision builds what travels to the deployer, without the artifact.
func describeRevision(spec Spec, id string, revisionConfig json.RawMessage) deployer.Revision {
	hashes := make(map[string]string, len(spec.Variables))
	for name, value := range spec.Variables {
		sum := sha256.Sum256([]byte(spec.ID() + "\x00" + name + "\x00" + value))
		hashes[name] = hex.EncodeToString(sum[:4])
	}
	_, version, _ := strings.Cut(spec.ReleaseID, ":")
	return deployer.Revision{
		RevisionInfo: deployer.RevisionInfo{
			ID:                id,
			ReleaseID:         spec.ReleaseID,
			Version:           version,
			Config:            revisionConfig,
			EnvironmentHashes: hashes,
			SecretNames:       slices.Sorted(maps.Keys(spec.Secrets)),
			SecretsVersion:    spec.SecretsVersion,
		},
		Environment: spec.Variables,
		Secrets:     spec.Secrets,
	}
}
