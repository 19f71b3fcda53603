// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

// builtElsewhere is the part of the definition that names bytes built
// elsewhere; nil when the pipeline builds them.
func builtElsewhere(d pipeline.Definition) *pipeline.Artifact {
	if d.Artifact == nil || d.Artifact.URL == "" {
		return nil
	}
	return &pipeline.Artifact{URL: d.Artifact.URL, SHA256: d.Artifact.SHA256}
}

// elsewhere is the digest of what was built elsewhere, which the definition
// gives.
func elsewhere(d pipeline.Definition) (string, error) {
	if builtElsewhere(d) == nil {
		return "", errors.New("the pipeline has neither a source nor an artifact that was built elsewhere")
	}
	return "sha256:" + d.Artifact.SHA256, nil
}
