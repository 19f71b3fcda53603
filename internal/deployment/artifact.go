// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// artifactSource looks a release up once and fetches its bytes at most once.
type artifactSource struct {
	service   *Service
	releaseID string
	recipe    json.RawMessage

	store   store.Store
	release store.Release
	err     error
	looked  bool
	dir     string
}

func (a *artifactSource) lookUp(ctx context.Context) (store.Release, bool) {
	if !a.looked {
		a.looked = true
		a.err = a.find(ctx)
	}
	return a.release, a.err == nil
}

func (a *artifactSource) find(ctx context.Context) error {
	pipeline, version, err := SplitReleaseID(a.releaseID)
	if err != nil {
		return err
	}
	if a.store, err = a.service.Store(ctx); err != nil {
		return err
	}
	a.release, err = a.store.Get(ctx, pipeline, version)
	return err
}

func (a *artifactSource) get(ctx context.Context) (deployer.Artifact, error) {
	_, ok := a.lookUp(ctx)
	if !ok && errors.Is(a.err, store.ErrNotFound) {
		a.err = a.rebuild(ctx)
		ok = a.err == nil
	}
	if !ok {
		return deployer.Artifact{}, a.err
	}
	var err error
	if a.dir, err = os.MkdirTemp("", "delivery-artifact-"); err != nil {
		return deployer.Artifact{}, err
	}
	path, err := a.store.Artifact(ctx, a.release, a.dir)
	if err != nil {
		return deployer.Artifact{}, fmt.Errorf("fetch the artifact of release %s: %w", a.releaseID, err)
	}
	return deployer.Artifact{
		MediaType: a.release.Artifact.MediaType,
		Digest:    a.release.Artifact.Digest,
		Size:      a.release.Artifact.Size,
		Path:      path,
	}, nil
}

// rebuild makes a release again that the store has lost.
func (a *artifactSource) rebuild(ctx context.Context) error {
	if len(a.recipe) == 0 || a.service.Rebuild == nil {
		return fmt.Errorf("release %s is %w, and at least one instance needs its bytes: make it again with `terraform apply -replace=` and the address of its delivery_release, or use a store that outlives the run", a.releaseID, a.err)
	}
	if err := a.service.Rebuild(ctx, a.recipe); err != nil {
		return fmt.Errorf("release %s is not in the store, and making it again failed: %w", a.releaseID, err)
	}
	return a.find(ctx)
}

func (a *artifactSource) cleanUp() {
	if a.dir != "" {
		_ = os.RemoveAll(a.dir)
	}
}
