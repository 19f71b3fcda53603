// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Open names a store; nothing is read or connected to yet.
func Open(config Config) (Store, error) {
	at, err := ParseLocation(config.Location)
	if err != nil {
		return nil, err
	}
	s := &releases{at: at, places: map[string]backend{}}
	if at.Directory != "" {
		s.open = func(pipeline string) (backend, error) { return newLayout(at, pipeline), nil }
		return s, nil
	}
	login := newLogin(at, config.Credentials)
	s.open = func(pipeline string) (backend, error) { return newRemote(at, pipeline, login) }
	return s, nil
}

// releases is the store, whatever the place: how releases, evidence and events
// are made of tags, manifests and blobs.
type releases struct {
	at     Location
	open   func(pipeline string) (backend, error)
	mu     sync.Mutex
	places map[string]backend // by pipeline
	events eventCache
}

func (s *releases) Location() string { return s.at.String() }

func (s *releases) place(pipeline string) (backend, error) {
	if err := checkPipeline(pipeline); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.places[pipeline]; ok {
		return b, nil
	}
	b, err := s.open(pipeline)
	if err == nil {
		s.places[pipeline] = b
	}
	return b, err
}

func (s *releases) Get(ctx context.Context, pipeline, version string) (Release, error) {
	b, err := s.place(pipeline)
	if err != nil {
		return Release{}, err
	}
	return readRelease(ctx, b, b, pipeline, version)
}

func (s *releases) Versions(ctx context.Context, pipeline string) ([]string, error) {
	b, err := s.place(pipeline)
	if err != nil {
		return nil, err
	}
	tags, err := b.tags(ctx)
	if err != nil {
		return nil, err
	}
	return versionsOf(tags), nil
}

func (s *releases) Newest(ctx context.Context, pipeline string) (Release, error) {
	versions, err := s.Versions(ctx, pipeline)
	if err != nil {
		return Release{}, err
	}
	if len(versions) == 0 {
		return Release{}, ErrNotFound
	}
	highest := 1
	for highest < len(versions) && compareVersions(versions[0], versions[highest]) == 0 {
		highest++
	}
	if highest == 1 {
		return s.Get(ctx, pipeline, versions[0])
	}
	return s.latest(ctx, pipeline, versions[:highest])
}

// latest reads when each of the versions was made.
func (s *releases) latest(ctx context.Context, pipeline string, versions []string) (Release, error) {
	type made struct {
		release Release
		at      time.Time
	}
	all := make([]made, len(versions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, version := range versions {
		group.Go(func() error {
			release, err := s.Get(ctx, pipeline, version)
			if err != nil {
				return err
			}
			evidence, err := s.Evidence(ctx, release)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			all[i] = made{release, evidence.CreatedAt}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Release{}, err
	}
	newest := all[0]
	for _, m := range all[1:] {
		if m.at.After(newest.at) {
			newest = m
		}
	}
	return newest.release, nil
}

func (s *releases) Artifact(ctx context.Context, release Release, dir string) (string, error) {
	b, err := s.place(release.Pipeline)
	if err != nil {
		return "", err
	}
	return b.file(ctx, descriptor{
		MediaType: release.Artifact.MediaType,
		Digest:    release.Artifact.Digest,
		Size:      release.Artifact.Size,
	}, dir)
}

func (s *releases) Writable(ctx context.Context, pipeline string) error {
	b, err := s.place(pipeline)
	if err != nil {
		return err
	}
	return b.writable(ctx)
}
