// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// maxText is how much of a text an event keeps, in bytes.
const maxText = 4096

func (s *releases) PutEvent(ctx context.Context, pipeline string, event Event) error {
	b, err := s.place(pipeline)
	if err != nil {
		return err
	}
	ref, err := event.Ref()
	if err != nil {
		return err
	}
	event = event.portable()
	config, err := jsonContent(EventType+configSuffix, event)
	if err != nil {
		return err
	}
	if config.Size > maxConfig {
		return fmt.Errorf("the event of operation %s has %d MiB, and at most %d can be kept", event.End.Operation.ID, config.Size>>20, maxConfig>>20)
	}
	s.events.put(config.descriptor, event)
	return b.update(ctx, func(tx transaction) error {
		there, err := tx.manifest(ctx, ref.Tag)
		if errors.Is(err, ErrNotFound) {
			there, err = putEvent(ctx, tx, pipeline, ref, event, config)
		}
		if err != nil {
			return err
		}
		kept, err := readEvent(ctx, tx, there, &s.events)
		if err == nil && kept.End.Operation.ID != event.End.Operation.ID {
			err = fmt.Errorf("another event is kept under %s already", ref.Tag)
		}
		return err
	})
}

func putEvent(ctx context.Context, tx transaction, pipeline string, ref EventRef, event Event, config content) (content, error) {
	empty := newContent(emptyType, emptyBlob)
	if err := errors.Join(tx.put(ctx, config), tx.put(ctx, empty)); err != nil {
		return content{}, err
	}
	m := manifest{
		ArtifactType: EventType,
		Config:       config.descriptor,
		Layers:       []descriptor{empty.descriptor},
		Annotations:  map[string]string{annotationCreated: ref.Ended.Format(time.RFC3339)},
	}
	raw, err := m.aboutReleaseOf(ctx, tx, pipeline, event.End.To)
	if err != nil {
		return content{}, err
	}
	return tx.tag(ctx, ref.Tag, raw)
}

// aboutReleaseOf names the release of a revision as what the manifest is about,
// unless the store does not hold it.
func (m manifest) aboutReleaseOf(ctx context.Context, tx transaction, pipeline string, to deployer.RevisionInfo) (content, error) {
	version, ours := strings.CutPrefix(to.ReleaseID, pipeline+":")
	tag, err := EncodeTag(version)
	if !ours || err != nil {
		return m.content()
	}
	release, err := tx.manifest(ctx, tag)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt):
		return m.content()
	case err != nil:
		return content{}, err
	}
	m.Annotations[annotationSubject] = release.Digest
	return m.about(ctx, tx, release)
}

// portable is the event as it is kept: texts bounded, times in UTC, and nothing
// that only the target needs.
func (e Event) portable() Event {
	e.Schema = EventSchema
	e.End = portableEntry(e.End)
	if e.Begin != nil {
		begin := portableEntry(*e.Begin)
		e.Begin = &begin
	}
	return e
}

func portableEntry(e deployer.Entry) deployer.Entry {
	e.Owner = ""
	e.Time, e.Operation.Started = e.Time.UTC(), e.Operation.Started.UTC()
	e.Operation.Actor, e.Reason = bounded(e.Operation.Actor), bounded(e.Reason)
	steps := make([]deployer.EntryStep, len(e.Steps))
	for n, step := range e.Steps {
		step.Started, step.Ended, step.Error = step.Started.UTC(), step.Ended.UTC(), bounded(step.Error)
		steps[n] = step
	}
	e.Steps = steps
	return e
}

func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}

func (s *releases) Event(ctx context.Context, pipeline string, ref EventRef) (Event, error) {
	b, err := s.place(pipeline)
	if err != nil {
		return Event{}, err
	}
	if _, ok := parseEventTag(ref.Tag); !ok {
		return Event{}, fmt.Errorf("%q is not the tag of an event", ref.Tag)
	}
	raw, err := b.manifest(ctx, ref.Tag)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", ref.Tag, err)
	}
	event, err := readEvent(ctx, b, raw, &s.events)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", ref.Tag, err)
	}
	if again, err := event.Ref(); err != nil || again.Tag != ref.Tag {
		return Event{}, corrupt("event %s is kept under another event's tag", ref.Tag)
	}
	return event, nil
}

// readEvent reads what a manifest of an event holds, unless the cache knows it.
func readEvent(ctx context.Context, r reader, raw content, cache *eventCache) (Event, error) {
	m, err := parseManifest(raw.data, EventType)
	if err != nil {
		return Event{}, err
	}
	if event, ok := cache.get(m.Config.Digest); ok {
		return event, nil
	}
	data, err := r.blob(ctx, m.Config)
	if err != nil {
		return Event{}, err
	}
	event, err := parseEvent(data)
	if err == nil {
		cache.put(m.Config, event)
	}
	return event, err
}

// parseEvent reads an event from a registry or a disk, which may hold anything.
func parseEvent(data []byte) (Event, error) {
	var version struct {
		Schema int `json:"schema"`
		End    struct {
			Schema int `json:"schema"`
		} `json:"end"`
	}
	if err := decodeStrict(data, &version); err != nil {
		return Event{}, corrupt("the event is not readable: %v", err)
	}
	if version.Schema > EventSchema || version.End.Schema > deployer.EntrySchema {
		return Event{}, fmt.Errorf("it was written by a newer version of the provider (schema %d, entries %d): use that one to read it", version.Schema, version.End.Schema)
	}
	var event Event
	if err := decodeStrict(data, &event); err != nil {
		return Event{}, corrupt("the event is not readable: %v", err)
	}
	if event.Schema < 1 {
		return Event{}, corrupt("the event has no schema")
	}
	if _, err := event.Ref(); err != nil {
		return Event{}, corrupt("%v", err)
	}
	return event, nil
}
