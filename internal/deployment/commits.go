// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"

	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// NewCommits lists what one release has and another has not, newest first;
// nothing when the store or the source cannot tell.
func (s *Service) NewCommits(ctx context.Context, from, to string) []Commit {
	pipeline, version, err := SplitReleaseID(to)
	if err != nil {
		return nil
	}
	opened, err := s.Store(ctx)
	if err != nil {
		return nil
	}
	release, err := opened.Get(ctx, pipeline, version)
	if err != nil {
		return nil
	}
	return s.commits(ctx, opened, from, release)
}

func (s *Service) commits(ctx context.Context, in store.Store, from string, to store.Release) []Commit {
	if s.Commits == nil || from == "" || from == to.ID() {
		return nil
	}
	pipeline, version, err := SplitReleaseID(from)
	if err != nil {
		return nil
	}
	before, err := in.Get(ctx, pipeline, version)
	if err != nil {
		return nil
	}
	commits, err := s.Commits(ctx, before, to)
	if err != nil {
		return nil
	}
	return commits
}
