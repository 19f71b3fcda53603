// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

const (
	maxTag     = 128
	eventTime  = "20060102T150405Z"
	eventParts = 6
)

var (
	namePattern      = lazyregexp.New(`^[a-z0-9][a-z0-9-]{0,30}$`)
	outcomePattern   = lazyregexp.New(`^[a-z_]{1,20}$`)
	operationPattern = lazyregexp.New(`^[A-Za-z0-9_-]{1,64}$`)
)

// Ref is what the event's tag says. An event that has none cannot be kept.
func (e Event) Ref() (EventRef, error) {
	if e.Begin != nil && e.Begin.Operation.ID != e.End.Operation.ID {
		return EventRef{}, fmt.Errorf("the event begins with operation %q and ends with %q", e.Begin.Operation.ID, e.End.Operation.ID)
	}
	return eventRef(e.End.Environment, e.End.Deployment, e.End.Time, string(e.End.Outcome), e.End.Operation.ID)
}

// eventRef makes the tag. The operation's id is cut to fit.
func eventRef(environment, deployment string, ended time.Time, outcome, operation string) (EventRef, error) {
	switch {
	case !namePattern.MatchString(environment) || !namePattern.MatchString(deployment):
		return EventRef{}, fmt.Errorf("an event needs an environment and a deployment, not %q and %q", environment, deployment)
	case !outcomePattern.MatchString(outcome):
		return EventRef{}, fmt.Errorf("%q cannot be the outcome of an event", outcome)
	case !operationPattern.MatchString(operation):
		return EventRef{}, fmt.Errorf("%q cannot be the id of an operation", operation)
	case ended.UTC().Year() < 1970 || ended.UTC().Year() > 9999:
		return EventRef{}, errors.New("an event needs the time when its operation ended")
	}
	r := EventRef{
		Environment: environment, Deployment: deployment,
		Ended: ended.UTC().Truncate(time.Second), Outcome: outcome,
	}
	head := strings.Join([]string{"d", r.Environment, r.Deployment, r.Ended.Format(eventTime), r.Outcome, ""}, ".")
	r.Operation = operation[:min(len(operation), maxTag-len(head))]
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
