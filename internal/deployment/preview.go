// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// releaseTimeout bounds the question to the store how large a release is.
const releaseTimeout = 3 * time.Second

// Preview asks the deployer what a planned rollout would meet. It is for
// warnings alone. Where the deployer cannot look ahead, or not everything is
// known yet, there is nothing to say.
//
// The deployer is told what the last Observe found, which in a plan is of
// moments ago, instead of being asked to Inspect everything once more: it looks
// for itself at what it judges.
func (s *Service) Preview(ctx context.Context, spec Spec, wanted Wanted, known State, private Private) ([]deployer.Diagnostic, error) {
	if wanted.RevisionID == "" || wanted.Validation.InstancesUnknown || holdsUnknown(spec.Config) {
		return nil, nil
	}
	d, err := s.open(ctx, spec.Deployer)
	if err != nil || !d.description.Can(deployer.CanPreview) {
		return nil, err
	}
	revision := describeRevision(spec, wanted.RevisionID, wanted.RevisionConfig)
	revision.Secrets, revision.SecretNames = nil, wanted.SecretNames
	s.describeArtifact(ctx, spec, &revision)
	state := foundState(wanted, known, private)
	for n := range state.Instances {
		for _, note := range private.Notes {
			if note.Unreachable && note.Instance == state.Instances[n].ID {
				state.Instances[n] = deployer.Instance{
					ID: note.Instance, Scope: state.Instances[n].Scope, Order: state.Instances[n].Order, Desired: true,
					Address: state.Instances[n].Address, Place: state.Instances[n].Place, Unreachable: note.Text,
				}
			}
		}
	}
	preview, err := d.Preview(ctx, deployer.PreviewRequest{Target: spec.wire(), Revision: revision, State: state})
	return preview.Findings, err
}

// describeArtifact adds what the store says of the release's bytes, if it has
// them already.
func (s *Service) describeArtifact(ctx context.Context, spec Spec, revision *deployer.Revision) {
	if s.Store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	release, there := (&artifactSource{service: s, releaseID: spec.ReleaseID}).lookUp(ctx)
	if !there {
		return
	}
	revision.Commit, revision.ArtifactDigest = release.Commit, release.Artifact.Digest
	revision.Artifact = deployer.Artifact{MediaType: release.Artifact.MediaType, Digest: release.Artifact.Digest, Size: release.Artifact.Size}
}
