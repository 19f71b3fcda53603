// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/release"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

var (
	_ resource.ResourceWithConfigure   = (*releaseResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*releaseResource)(nil)
	_ resource.ResourceWithImportState = (*releaseResource)(nil)
)

// NewReleaseResource makes delivery_release.
func NewReleaseResource() resource.Resource { return &releaseResource{} }

type releaseResource struct {
	data    *Data
	service *release.Service
}

func (*releaseResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_release"
}

func (*releaseResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = releaseSchema()
}

func (r *releaseResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if r.data = dataFrom(req.ProviderData, Diagnostics{Diagnostics: &resp.Diagnostics}); r.data != nil {
		r.service = r.data.Releases()
	}
}

// Read looks at the source, at what there is to release now, and keeps what it
// found for the plan. The release itself never changes.
func (r *releaseResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state releaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	d := r.diagnostics(&resp.Diagnostics)
	private := readReleasePrivate(ctx, req.Private, d)
	if resp.Diagnostics.HasError() || state.Pipeline.IsNull() {
		return // imported, and not applied yet
	}
	definition, err := pipeline.Parse([]byte(state.Pipeline.ValueString()))
	if err != nil {
		d.Warning(path.Root("pipeline"), "The pipeline in the state cannot be read", err)
		return
	}
	if !r.data.Unknown.Store {
		r.findLost(ctx, state, private, d)
	}
	if r.data.Unknown.Git && definition.Source != nil && definition.Source.Git != nil {
		return
	}
	o, warnings, err := r.service.Observe(ctx, release.Request{
		Definition: definition, Ref: state.Ref.ValueString(), Version: private.Wanted,
		Prior: state.prior(ctx, private, d), Previous: private.Observation,
	})
	if err != nil {
		at := path.Root("pipeline")
		if p := release.AsProblem(err); p.Attribute != "" {
			at = path.Root(p.Attribute)
		}
		d.Warning(at, "The source could not be looked at, so this plan shows nothing new of it", err)
		return
	}
	tellStoreWarnings(r.data, d, warnings)
	private.Observation = &o
	writeReleasePrivate(ctx, resp.Private, private, d)
}

// findLost notes how to make the release again when the store does not have
// it, as with a store in a directory that did not outlive the last runner.
func (r *releaseResource) findLost(ctx context.Context, state releaseModel, private releasePrivate, d Diagnostics) {
	name, version, err := deployment.SplitReleaseID(state.ID.ValueString())
	if err != nil {
		return
	}
	st, err := r.data.Store(ctx)
	if err != nil {
		return // Observe warns
	}
	if _, err := st.Get(ctx, name, version); !errors.Is(err, store.ErrNotFound) {
		return
	}
	recipe, err := json.Marshal(release.Recipe{
		Definition: json.RawMessage(state.Pipeline.ValueString()),
		Planned: release.Planned{
			ID: state.ID.ValueString(), Pipeline: name, Version: version,
			Commit: state.Commit.ValueString(), Content: private.Content, Definition: private.Definition,
			Ref: state.Ref.ValueString(), Digest: state.Digest.ValueString(),
		},
	})
	if err != nil {
		d.Error(path.Root("pipeline"), "The release cannot be described", err)
		return
	}
	r.data.memory.rememberRecipe(state.ID.ValueString(), recipe)
}

// Create makes the release that was planned.
func (r *releaseResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config releaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	d := r.diagnostics(&resp.Diagnostics)
	limit, diags := plan.Timeouts.Create(ctx, releaseTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	private, ok := r.make(ctx, limit, &plan, releasePrivate{Wanted: config.Version.ValueString()}, d)
	if !ok {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	writeReleasePrivate(ctx, resp.Private, private, d)
}

// Update makes one more release, or only notes other settings. After an error
// the state is as it was.
func (r *releaseResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.State.Raw
	var plan, state, config releaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	d := r.diagnostics(&resp.Diagnostics)
	limit, diags := plan.Timeouts.Update(ctx, releaseTimeout)
	resp.Diagnostics.Append(diags...)
	private := readReleasePrivate(ctx, req.Private, d)
	if resp.Diagnostics.HasError() {
		return
	}
	private.Wanted = config.Version.ValueString()
	if !plan.ID.Equal(state.ID) {
		var ok bool
		if private, ok = r.make(ctx, limit, &plan, private, d); !ok {
			return
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	writeReleasePrivate(ctx, resp.Private, private, d)
}

// make makes what the plan says and fills in what only now is known.
func (r *releaseResource) make(ctx context.Context, limit time.Duration, plan *releaseModel, private releasePrivate, d Diagnostics) (releasePrivate, bool) {
	definition, ok := parsePipeline(plan.Pipeline.ValueString(), d)
	if !ok {
		return private, false
	}
	seen, ok := r.data.observations.recall(plan.ID.ValueString(), definition.Digest())
	if !ok {
		d.Invalid(path.Root("pipeline"), "The release was not planned", "Terraform asks for a release that this provider has not planned. Plan again.")
		return private, false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	made, err := r.service.Make(ctx, definition, seen.planned)
	if err != nil {
		reportRelease(d, err)
		return private, false
	}
	plan.Digest, plan.Size = types.StringValue(made.Digest), types.Int64Value(made.Artifact.Size)
	plan.Checks, plan.CreatedAt = checksValue(made.Checks), timeValue(made.CreatedAt)
	private.Content, private.Definition = made.Content, made.Definition
	private.Observation = &seen.observation
	return private, true
}

// Delete forgets the release. It stays in the store.
func (*releaseResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// ImportState takes <pipeline>:<version> from the store. The pipeline itself is
// not there; it is filled in at the next apply, which makes nothing when the
// release is the one that the configuration asks for.
func (r *releaseResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	d := r.diagnostics(&resp.Diagnostics)
	pipelineName, version, err := deployment.SplitReleaseID(req.ID)
	if err != nil {
		d.Error(path.Root("id"), "The release cannot be imported", err)
		return
	}
	found, evidence, err := findRelease(ctx, r.data, pipelineName, version)
	switch {
	case errors.Is(err, store.ErrNotFound):
		d.Invalid(path.Root("id"), "There is no such release", missingRelease(ctx, r.data, pipelineName, version))
		return
	case err != nil:
		d.Error(path.Root("id"), "The release cannot be read from the store", err)
		return
	}
	m := releaseModel{Timeouts: noTimeouts("create", "update")}
	m.ID, m.Version = types.StringValue(found.ID()), types.StringValue(found.Version)
	m.Ref, m.Commit, m.Digest = orNull(found.Ref), orNull(found.Commit), types.StringValue(found.Digest)
	m.Size, m.CreatedAt = types.Int64Value(found.Artifact.Size), timeValue(evidence.CreatedAt)
	m.Commits, m.Checks = commitsValue(ctx, nil, d), checksValue(evidence.Checks)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	writeReleasePrivate(ctx, resp.Private, releasePrivate{Content: found.Content, Definition: found.Definition}, d)
}

func (r *releaseResource) diagnostics(to *diag.Diagnostics) Diagnostics {
	d := Diagnostics{Diagnostics: to}
	if r.data != nil {
		d.Redactor = r.data.Redactor
	}
	return d
}
