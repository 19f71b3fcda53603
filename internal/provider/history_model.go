// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// historyModel is the data source delivery_history.
type historyModel struct {
	Pipeline    types.String   `tfsdk:"pipeline"`
	Environment types.String   `tfsdk:"environment"`
	Deployment  types.String   `tfsdk:"deployment"`
	Since       types.String   `tfsdk:"since"`
	Limit       types.Int64    `tfsdk:"limit"`
	Entries     []historyEntry `tfsdk:"entries"`
}

type historyEntry struct {
	Operation    types.String               `tfsdk:"operation"`
	Kind         types.String               `tfsdk:"kind"`
	Environment  types.String               `tfsdk:"environment"`
	Deployment   types.String               `tfsdk:"deployment"`
	Actor        types.String               `tfsdk:"actor"`
	Started      types.String               `tfsdk:"started"`
	Ended        types.String               `tfsdk:"ended"`
	Outcome      types.String               `tfsdk:"outcome"`
	Reason       types.String               `tfsdk:"reason"`
	Strategy     types.String               `tfsdk:"strategy"`
	ReleaseID    types.String               `tfsdk:"release_id"`
	Revision     types.String               `tfsdk:"revision"`
	Commit       types.String               `tfsdk:"commit"`
	FromReleases []string                   `tfsdk:"from_releases"`
	Instances    map[string]historyInstance `tfsdk:"instances"`
	Steps        []historyStep              `tfsdk:"steps"`
}

type historyInstance struct {
	FromRelease  types.String `tfsdk:"from_release"`
	FromRevision types.String `tfsdk:"from_revision"`
	Release      types.String `tfsdk:"release"`
	Revision     types.String `tfsdk:"revision"`
}

type historyStep struct {
	Name      types.String `tfsdk:"name"`
	Instances []string     `tfsdk:"instances"`
	Started   types.String `tfsdk:"started"`
	Ended     types.String `tfsdk:"ended"`
	Error     types.String `tfsdk:"error"`
}

func (m historyModel) filter(now time.Time) store.EventFilter {
	f := store.EventFilter{Environment: m.Environment.ValueString(), Deployment: m.Deployment.ValueString(), Limit: defaultHistory}
	if !m.Limit.IsNull() {
		f.Limit = int(m.Limit.ValueInt64())
	}
	if !m.Since.IsNull() {
		f.Since, _ = parseSince(m.Since.ValueString(), now)
	}
	return f
}

// entry tells an event; where its details cannot be read, what its tag says.
func (r recorded) entry(redactor *Redactor) historyEntry {
	if r.err != nil {
		return historyEntry{
			Operation: types.StringValue(r.ref.Operation), Environment: types.StringValue(r.ref.Environment),
			Deployment: types.StringValue(r.ref.Deployment), Outcome: types.StringValue(r.ref.Outcome), Ended: timeValue(r.ref.Ended),
		}
	}
	end, began := r.event.End, r.event.End.Operation
	e := historyEntry{
		Operation: types.StringValue(began.ID), Kind: orNull(began.Kind), Actor: orNull(redactor.Redact(began.Actor)),
		Environment: types.StringValue(end.Environment), Deployment: types.StringValue(end.Deployment),
		Started: timeValue(began.Started), Ended: timeValue(end.Time),
		Outcome: types.StringValue(string(end.Outcome)), Reason: orNull(redactor.Redact(end.Reason)), Strategy: orNull(end.Strategy),
		ReleaseID: orNull(end.To.ReleaseID), Revision: orNull(end.To.ID), Commit: orNull(end.To.Commit),
		FromReleases: []string{}, Instances: instancesOf(r.event), Steps: stepsOf(end.Steps, redactor),
	}
	for _, i := range e.Instances {
		if release := i.FromRelease.ValueString(); release != "" {
			e.FromReleases = append(e.FromReleases, release)
		}
	}
	slices.Sort(e.FromReleases)
	e.FromReleases = slices.Compact(e.FromReleases)
	return e
}

func instancesOf(event store.Event) map[string]historyInstance {
	var from map[string]string
	if event.Begin != nil {
		from = event.Begin.From
	}
	instances := map[string]historyInstance{}
	for _, id := range slices.Concat(slices.Collect(maps.Keys(from)), slices.Collect(maps.Keys(event.End.Runs))) {
		before, after := from[id], event.End.Runs[id]
		instances[id] = historyInstance{
			FromRelease: orNull(event.Releases[before]), FromRevision: orNull(before),
			Release: orNull(event.Releases[after]), Revision: orNull(after),
		}
	}
	return instances
}

func stepsOf(steps []deployer.EntryStep, redactor *Redactor) []historyStep {
	all := []historyStep{}
	for _, s := range steps {
		all = append(all, historyStep{
			Name: types.StringValue(s.Name), Instances: append([]string{}, s.Instances...),
			Started: momentValue(s.Started), Ended: momentValue(s.Ended), Error: orNull(redactor.Redact(s.Error)),
		})
	}
	return all
}

// momentValue is a time within an operation.
func momentValue(t time.Time) types.String {
	if t.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(t.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
