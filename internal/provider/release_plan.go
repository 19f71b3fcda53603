// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/release"
)

// ModifyPlan computes the release from the configuration, the state and what
// Read observed. Terraform plans again when it applies and must come to the
// same result, so only a new resource, and one whose ref or source changed,
// look at the source now.
func (r *releaseResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil || req.Plan.Raw.IsNull() {
		return
	}
	var plan, config releaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := r.diagnostics(&resp.Diagnostics)
	var state *releaseModel
	var private releasePrivate
	if !req.State.Raw.IsNull() {
		state = &releaseModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
		private = readReleasePrivate(ctx, req.Private, d)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	plan.setUnknown(config.Version)
	if !plan.Pipeline.IsUnknown() && !plan.Ref.IsUnknown() && !config.Version.IsUnknown() {
		definition, ok := parsePipeline(plan.Pipeline.ValueString(), d)
		if !ok {
			return
		}
		p := &releasePlan{data: r.data, service: r.service, d: d, definition: definition, ref: plan.Ref.ValueString(),
			wanted: config.Version.ValueString(), state: state, private: private}
		p.compute(ctx, &plan)
		if resp.Diagnostics.HasError() {
			return
		}
		if p.observed {
			private.Observation = p.private.Observation
			writeReleasePrivate(ctx, resp.Private, private, d)
		}
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
}

// releasePlan is the planning of one release.
type releasePlan struct {
	data       *Data
	service    *release.Service
	d          Diagnostics
	definition pipeline.Definition
	ref        string
	wanted     string // version as configured
	state      *releaseModel
	private    releasePrivate
	observed   bool // while planning
}

func (p *releasePlan) compute(ctx context.Context, plan *releaseModel) {
	if p.unchanged(plan) {
		plan.keep(*p.state)
		return
	}
	if o := p.private.Observation; o == nil || !o.Answers(p.definition, p.ref) {
		if !p.observe(ctx) {
			return // all that has to be observed stays unknown
		}
	}
	planned, err := release.Compute(release.Input{
		Definition: p.definition, Ref: p.ref, Version: p.wanted,
		Prior: p.prior(ctx), Observation: *p.private.Observation,
	})
	if err != nil {
		reportRelease(p.d, err)
		return
	}
	if p.state != nil && planned.ID == p.state.ID.ValueString() {
		plan.keep(*p.state)
		return
	}
	plan.promise(ctx, planned, p.d)
	p.checkSecrets(planned)
	p.data.observations.remember(planned, *p.private.Observation)
	p.data.memory.rememberCommits(planned.ID, commitModels(planned.Commits))
}

// unchanged says that nothing was asked for that the state does not have, and
// that nobody looked whether there is something new.
func (p *releasePlan) unchanged(plan *releaseModel) bool {
	return p.state != nil && p.private.Observation == nil &&
		plan.Pipeline.Equal(p.state.Pipeline) && plan.Ref.Equal(p.state.Ref) && p.wanted == p.private.Wanted
}

// observe looks at the source; false when it cannot or need not, yet.
func (p *releasePlan) observe(ctx context.Context) bool {
	if p.data.Unknown.Git && p.definition.Source != nil && p.definition.Source.Git != nil {
		return false
	}
	o, warnings, err := p.service.Observe(ctx, release.Request{
		Definition: p.definition, Ref: p.ref, Version: p.wanted, Prior: p.prior(ctx),
	})
	if err != nil {
		reportRelease(p.d, err)
		return false
	}
	tellStoreWarnings(p.data, p.d, warnings)
	p.private.Observation, p.observed = &o, true
	return true
}

func (p *releasePlan) prior(ctx context.Context) release.Prior {
	if p.state == nil {
		return release.Prior{}
	}
	return p.state.prior(ctx, p.private, p.d)
}

// checkSecrets refuses a release whose stages ask for secrets that nobody
// gives, unless it may exist already.
func (p *releasePlan) checkSecrets(planned release.Planned) {
	if p.data.Unknown.Secrets || planned.Digest != "" {
		return
	}
	if err := p.service.CheckSecrets(p.definition); err != nil {
		reportRelease(p.d, err)
	}
}

// parsePipeline reads and checks a pipeline's definition.
func parsePipeline(text string, d Diagnostics) (pipeline.Definition, bool) {
	definition, err := pipeline.Parse([]byte(text))
	if err != nil {
		d.Invalid(path.Root("pipeline"), "Not a pipeline",
			sentence(err.Error())+" Write pipeline = delivery_pipeline.<name>.json.")
		return pipeline.Definition{}, false
	}
	problems := definition.Validate()
	for _, problem := range problems {
		d.Invalid(path.Root("pipeline"), "Not a valid pipeline", sentence(problem.String()))
	}
	return definition, len(problems) == 0
}

// reportRelease says why there is no release, at the attribute to blame.
func reportRelease(d Diagnostics, err error) {
	p := release.AsProblem(err)
	at := path.Root("pipeline")
	if p.Attribute != "" {
		at = path.Root(p.Attribute)
	}
	var own *release.Problem
	if errors.As(err, &own) {
		d.Invalid(at, own.Summary, sentence(own.Detail))
		return
	}
	d.Error(at, p.Summary, err)
}

func tellStoreWarnings(data *Data, d Diagnostics, warnings []string) {
	if data.Unknown.Store {
		return
	}
	for _, text := range warnings {
		d.Notice(path.Root("pipeline"), "The store could not be looked at", sentence(text))
	}
}

// setUnknown makes everything unknown that a release computes.
func (m *releaseModel) setUnknown(version types.String) {
	m.Version = version
	if version.IsNull() {
		m.Version = types.StringUnknown()
	}
	m.ID, m.Commit, m.Digest, m.CreatedAt = types.StringUnknown(), types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	m.Commits = types.ListUnknown(commitType)
	m.Checks = types.MapUnknown(checkType)
	m.Size = types.Int64Unknown()
}

// keep takes everything computed from the state: it is the same release.
func (m *releaseModel) keep(state releaseModel) {
	m.ID, m.Version, m.Commit, m.Commits = state.ID, state.Version, state.Commit, state.Commits
	m.Digest, m.Size, m.Checks, m.CreatedAt = state.Digest, state.Size, state.Checks, state.CreatedAt
}

// promise writes what is known of a release that will be made.
func (m *releaseModel) promise(ctx context.Context, planned release.Planned, d Diagnostics) {
	m.ID, m.Version = types.StringValue(planned.ID), types.StringValue(planned.Version)
	m.Commit = orNull(planned.Commit)
	m.Commits = commitsValue(ctx, commitModels(planned.Commits), d)
}

func commitModels(commits []release.Commit) []commitModel {
	out := make([]commitModel, 0, len(commits))
	for _, c := range commits {
		out = append(out, commitModel{SHA: types.StringValue(c.SHA), Author: types.StringValue(c.Author), Subject: types.StringValue(c.Subject)})
	}
	return out
}

// prior is the release in the state.
func (m releaseModel) prior(ctx context.Context, private releasePrivate, d Diagnostics) release.Prior {
	p := release.Prior{
		ID: m.ID.ValueString(), Version: m.Version.ValueString(), Commit: m.Commit.ValueString(),
		Content: private.Content, Definition: private.Definition, Digest: m.Digest.ValueString(),
	}
	for _, c := range elements[commitModel](ctx, m.Commits, d) {
		p.Commits = append(p.Commits, release.Commit{SHA: c.SHA.ValueString(), Author: c.Author.ValueString(), Subject: c.Subject.ValueString()})
	}
	return p
}
