// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxTag     = 128
	eventTime  = "20060102T150405Z"
	maxReason  = 4096
	eventParts = 6
)

var (
	namePattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)
	outcomePattern   = regexp.MustCompile(`^[a-z_]{1,20}$`)
	operationPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// ref is what the event's tag says. The operation's id is cut to fit.
func (e Event) ref() (EventRef, error) {
	switch {
	case !namePattern.MatchString(e.Environment) || !namePattern.MatchString(e.Deployment):
		return EventRef{}, fmt.Errorf("an event needs an environment and a deployment, not %q and %q", e.Environment, e.Deployment)
	case !outcomePattern.MatchString(e.Outcome):
		return EventRef{}, fmt.Errorf("%q cannot be the outcome of an event", e.Outcome)
	case !operationPattern.MatchString(e.Operation):
		return EventRef{}, fmt.Errorf("%q cannot be the id of an operation", e.Operation)
	case e.Ended.IsZero():
		return EventRef{}, errors.New("an event needs the time when its operation ended")
	}
	r := EventRef{
		Environment: e.Environment, Deployment: e.Deployment,
		Ended: e.Ended.UTC().Truncate(time.Second), Outcome: e.Outcome,
	}
	head := strings.Join([]string{"d", r.Environment, r.Deployment, r.Ended.Format(eventTime), r.Outcome, ""}, ".")
	r.Operation = e.Operation[:min(len(e.Operation), maxTag-len(head))]
	r.Tag = head + r.Operation
	return r, nil
}

// parseEventTag tells whether a tag is that of an event, and what it says.
func parseEventTag(tag string) (EventRef, bool) {
	parts := strings.Split(tag, ".")
	if len(tag) > maxTag || len(parts) != eventParts || parts[0] != "d" {
		return EventRef{}, false
	}
	at, err := time.Parse(eventTime, parts[3])
	r := EventRef{Environment: parts[1], Deployment: parts[2], Ended: at, Outcome: parts[4], Operation: parts[5], Tag: tag}
	ok := err == nil && namePattern.MatchString(r.Environment) && namePattern.MatchString(r.Deployment) &&
		outcomePattern.MatchString(r.Outcome) && operationPattern.MatchString(r.Operation)
	return r, ok
}

func (s *releases) PutEvent(ctx context.Context, pipeline string, event Event) error {
	b, err := s.place(pipeline)
	if err != nil {
		return err
	}
	ref, err := event.ref()
	if err != nil {
		return err
	}
	event.Started, event.Ended = event.Started.UTC(), event.Ended.UTC()
	event.Reason = strings.ToValidUTF8(event.Reason[:min(len(event.Reason), maxReason)], "")
	config, err := jsonContent(EventType+configSuffix, event)
	if err != nil {
		return err
	}
	empty := newContent(emptyType, emptyBlob)
	raw, err := manifest{
		ArtifactType: EventType,
		Config:       config.descriptor,
		Layers:       []descriptor{empty.descriptor},
	}.content()
	if err != nil {
		return err
	}
	return b.update(ctx, func(tx transaction) error {
		there, err := tx.manifest(ctx, ref.Tag)
		if errors.Is(err, ErrNotFound) {
			if err := errors.Join(tx.put(ctx, config), tx.put(ctx, empty)); err != nil {
				return err
			}
			there, err = tx.tag(ctx, ref.Tag, raw)
		}
		if err == nil && there.Digest != raw.Digest {
			err = fmt.Errorf("another event is kept under %s already", ref.Tag)
		}
		return err
	})
}

func (s *releases) Events(ctx context.Context, pipeline string, filter EventFilter) ([]EventRef, error) {
	b, err := s.place(pipeline)
	if err != nil {
		return nil, err
	}
	tags, err := b.tags(ctx)
	if err != nil {
		return nil, err
	}
	events := []EventRef{}
	for _, tag := range tags {
		if r, ok := parseEventTag(tag); ok && filter.chooses(r) {
			events = append(events, r)
		}
	}
	slices.SortFunc(events, func(a, b EventRef) int {
		return cmp.Or(b.Ended.Compare(a.Ended), strings.Compare(a.Tag, b.Tag))
	})
	if filter.Limit > 0 && len(events) > filter.Limit {
		events = events[:filter.Limit]
	}
	return events, nil
}

func (f EventFilter) chooses(r EventRef) bool {
	return (f.Environment == "" || f.Environment == r.Environment) &&
		(f.Deployment == "" || f.Deployment == r.Deployment) &&
		!r.Ended.Before(f.Since.Truncate(time.Second))
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
	m, err := parseManifest(raw.data, EventType)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", ref.Tag, err)
	}
	data, err := b.blob(ctx, m.Config)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", ref.Tag, err)
	}
	var event Event
	if err := decodeStrict(data, &event); err != nil {
		return Event{}, corrupt("event %s is not readable: %v", ref.Tag, err)
	}
	if again, err := event.ref(); err != nil || again.Tag != ref.Tag {
		return Event{}, corrupt("event %s is kept under another event's tag", ref.Tag)
	}
	return event, nil
}
