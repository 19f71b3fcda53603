// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// own is the event of an operation of this run, if it did anything. Where the
// ledger has no end of it, the end is told from the outcome.
func (e *evidence) own(plan rollout.Plan, outcome rollout.Outcome) (store.Event, bool) {
	for n := range outcome.State.Instances {
		for _, slot := range outcome.State.Instances[n].Slots {
			e.releases[slot.Revision.ID] = slot.Revision.ReleaseID
		}
	}
	entries := outcome.Entries
	ended := slices.ContainsFunc(entries, func(entry deployer.Entry) bool { return entry.Phase == deployer.PhaseEnd })
	if !ended && !outcome.Touched {
		return store.Event{}, false
	}
	if !ended {
		entries = append(slices.Clone(entries), endOf(plan, outcome))
	}
	events := e.events(entries)
	if len(events) == 0 {
		return store.Event{}, false
	}
	return events[len(events)-1], true
}

func endOf(plan rollout.Plan, outcome rollout.Outcome) deployer.Entry {
	end := deployer.Entry{
		Schema: deployer.EntrySchema, Phase: deployer.PhaseEnd, Operation: plan.Operation,
		Environment: plan.Target.Environment, Deployment: plan.Target.Deployment,
		Generation: outcome.Generation, Time: outcome.Finished,
		To: plan.Revision.RevisionInfo, Outcome: outcome.Result,
	}
	if len(outcome.Failures) > 0 {
		end.Reason = outcome.Failures[0].Err.Error()
	}
	if outcome.Inspected {
		end.Runs = map[string]string{}
		for n := range outcome.State.Instances {
			i := &outcome.State.Instances[n]
			if serving := i.Serving(); serving != nil {
				end.Runs[i.ID] = serving.Revision.ID
			} else if i.Unreachable == "" {
				end.Runs[i.ID] = ""
			}
		}
	}
	return end
}

// outcomeInterrupted is that of an operation of which the ledger has no end, as
// after a kill: the next one found it unfinished.
const outcomeInterrupted deployer.Outcome = "interrupted"

// events are the operations that are over, as a ledger's entries in the order
// of time tell them. What cannot be an event of this deployment is left out.
func (e *evidence) events(entries []deployer.Entry) []store.Event {
	var events []store.Event
	at := map[string]int{}
	add := func(event store.Event) {
		if _, err := event.Ref(); err != nil {
			return
		}
		id := event.End.Operation.ID
		if n, again := at[id]; again {
			events[n] = event
			return
		}
		at[id] = len(events)
		events = append(events, event)
	}
	var open *deployer.Entry // begun and not ended
	for _, entry := range entries {
		if entry.Environment != e.target.Environment || entry.Deployment != e.target.Deployment {
			continue
		}
		if entry.To.ID != "" && entry.To.ReleaseID != "" {
			e.releases[entry.To.ID] = entry.To.ReleaseID
		}
		entry = e.redacted(entry)
		if open != nil && open.Operation.ID != entry.Operation.ID {
			add(interrupted(*open, entry.Time))
			open = nil
		}
		if entry.Phase == deployer.PhaseBegin {
			open = &entry
			continue
		}
		event := store.Event{Begin: open, End: entry}
		if n, again := at[entry.Operation.ID]; again {
			event.Begin = events[n].Begin
		}
		add(event)
		open = nil
	}
	for n := range events {
		events[n].Releases = e.named(events[n])
	}
	return events
}

// interrupted is an operation that was over, at the latest, when another began.
func interrupted(begin deployer.Entry, at time.Time) store.Event {
	end := begin
	end.Phase, end.Time, end.From, end.Outcome = deployer.PhaseEnd, at, nil, outcomeInterrupted
	end.Reason = "its end was not recorded; the next operation found it unfinished"
	return store.Event{Begin: &begin, End: end}
}

// named are the releases of the revisions that an event names.
func (e *evidence) named(event store.Event) map[string]string {
	releases := map[string]string{}
	add := func(revision string) {
		if release := e.releases[revision]; release != "" {
			releases[revision] = release
		}
	}
	add(event.End.To.ID)
	for _, revision := range event.End.Runs {
		add(revision)
	}
	if event.Begin != nil {
		for _, revision := range event.Begin.From {
			add(revision)
		}
	}
	return releases
}

// redacted is an entry without known secrets. Names and ids stay: they say
// what happened where, and are no place for secrets.
func (e *evidence) redacted(entry deployer.Entry) deployer.Entry {
	if e.redact != nil {
		entry = redactTexts(entry, e.redact)
		entry.To.Config = redactJSON(entry.To.Config, e.redact)
	}
	return entry
}

func redactTexts(entry deployer.Entry, redact func(string) string) deployer.Entry {
	entry.Reason, entry.Operation.Actor = redact(entry.Reason), redact(entry.Operation.Actor)
	entry.Steps = slices.Clone(entry.Steps)
	for n := range entry.Steps {
		entry.Steps[n].Error = redact(entry.Steps[n].Error)
	}
	return entry
}

// discreet is a deployer whose ledger takes no known secret: whoever reads it
// later may know them no more.
type discreet struct {
	deployer.Deployer
	redact func(string) string
}

func (d discreet) Record(ctx context.Context, req deployer.RecordRequest) error {
	if d.redact != nil {
		req.Entry = redactTexts(req.Entry, d.redact)
	}
	return d.Deployer.Record(ctx, req)
}

// redactJSON redacts the strings in JSON; nothing is left of what cannot be read.
func redactJSON(raw json.RawMessage, redact func(string) string) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return nil
	}
	clean, err := json.Marshal(redactValue(value, redact))
	if err != nil {
		return nil
	}
	return clean
}

func redactValue(value any, redact func(string) string) any {
	switch v := value.(type) {
	case string:
		return redact(v)
	case []any:
		for n := range v {
			v[n] = redactValue(v[n], redact)
		}
	case map[string]any:
		for key := range v {
			v[key] = redactValue(v[key], redact)
		}
	}
	return value
}
