// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// recall is how many of the ledger's entries are compared with the store.
const recall = 100

// Sent notes how far the store has what the ledger tells.
type Sent struct {
	// Operation is the newest one whose event was sent or found in the store.
	Operation string `json:"operation"`
	// Generation is the ledger's up to which every ended operation was.
	Generation int64 `json:"generation"`
}

// sending is one conversation with the store.
type sending struct {
	*evidence
	store  store.Store
	listed map[string][]store.EventRef // by pipeline, newest first
	newest string                      // operation last seen in the store or sent
}

// upTo says whether the store is known to have everything that the ledger held
// before an operation: what was noted fits the ledger's generation, and the
// store still has it. It saves reading the ledger of every instance.
func (s *sending) upTo(ctx context.Context, sent *Sent, own *store.Event, generation int64) (bool, error) {
	refs, err := s.list(ctx, s.pipeline)
	if err != nil {
		return false, err
	}
	before := generation
	if own != nil {
		if own.Begin == nil || own.End.Generation != generation {
			return false, nil // something else was done too
		}
		before = own.Begin.Generation - 1
	}
	switch {
	case before == 0:
		return true, nil
	case sent == nil || sent.Generation != before:
		return false, nil
	}
	s.newest = sent.Operation
	return slices.ContainsFunc(refs, func(r store.EventRef) bool { return r.Names(sent.Operation) }), nil
}

// catchUp sends what the ledger holds and the store does not, oldest first. An
// event that the store will never take is left out; complete says that nothing
// else is missing.
func (s *sending) catchUp(ctx context.Context, own *store.Event) (complete bool, err error) {
	if !s.deployer.description.Can(deployer.CanRecord) {
		return true, nil
	}
	limited, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	entries, err := s.deployer.History(limited, deployer.HistoryRequest{Target: s.target, Limit: recall})
	if err != nil {
		s.note("the ledger could not be compared with the store", err)
		return false, nil
	}
	entries = slices.Clone(entries[:min(len(entries), recall)])
	slices.SortStableFunc(entries, func(a, b deployer.Entry) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), a.Time.Compare(b.Time), cmp.Compare(a.Phase, b.Phase))
	})
	for _, event := range s.events(entries) {
		if own != nil && event.End.Operation.ID == own.End.Operation.ID {
			continue
		}
		err := s.put(ctx, event)
		var access *store.AccessError
		if errors.As(err, &access) || err != nil && ctx.Err() != nil {
			return false, err
		}
		if err != nil {
			s.note("the store does not take an event", err)
		}
	}
	return true, nil
}

// put sends an event to the repository of its release's pipeline, unless it is
// there.
func (s *sending) put(ctx context.Context, event store.Event) error {
	pipeline, _, err := SplitReleaseID(event.End.To.ReleaseID)
	if err != nil {
		pipeline = s.pipeline // a removal is to no release
	}
	refs, err := s.list(ctx, pipeline)
	if err != nil {
		return err
	}
	id := event.End.Operation.ID
	if !slices.ContainsFunc(refs, func(r store.EventRef) bool { return r.Names(id) }) {
		limited, cancel := context.WithTimeout(ctx, eventTimeout)
		defer cancel()
		if err := s.store.PutEvent(limited, pipeline, event); err != nil {
			return err
		}
	}
	s.newest = id
	return nil
}

// list is one listing of tags for each pipeline.
func (s *sending) list(ctx context.Context, pipeline string) ([]store.EventRef, error) {
	if refs, ok := s.listed[pipeline]; ok {
		return refs, nil
	}
	refs, err := s.store.Events(ctx, pipeline, store.EventFilter{Environment: s.target.Environment, Deployment: s.target.Deployment})
	if err == nil {
		s.listed[pipeline] = refs
	}
	return refs, err
}

// mark notes that everything up to a generation was sent.
func (s *sending) mark(generation int64) *Sent {
	if s.newest == "" {
		return nil
	}
	return &Sent{Operation: s.newest, Generation: generation}
}
