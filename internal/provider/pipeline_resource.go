// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

var (
	_ resource.Resource                   = (*pipelineResource)(nil)
	_ resource.ResourceWithValidateConfig = (*pipelineResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*pipelineResource)(nil)
)

// NewPipelineResource makes delivery_pipeline: a value in the form of a
// resource. All that is computed is known at plan.
func NewPipelineResource() resource.Resource { return &pipelineResource{} }

type pipelineResource struct{}

func (*pipelineResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_pipeline"
}

func (*pipelineResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = pipelineSchema()
}

// ValidateConfig finds everything that is wrong with a definition as far as it
// is known: cycles, names that nobody has, credentials in URLs.
func (*pipelineResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m pipelineModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := Diagnostics{Diagnostics: &resp.Diagnostics}
	definition, unknown := m.definition(ctx, d)
	if resp.Diagnostics.HasError() {
		return
	}
	for _, problem := range problems(definition, unknown) {
		d.Invalid(pipelinePath(definition, problem), "Not a valid pipeline", sentence(problem.Message))
	}
}

// problems are those of a definition that do not come from values that are
// not known yet.
func problems(definition pipeline.Definition, unknown path.Paths) []pipeline.Problem {
	namesUnknown := false
	for _, u := range unknown {
		last, _ := u.Steps().LastStep()
		namesUnknown = namesUnknown || u.Equal(path.Root("stage")) ||
			within(u, path.Root("stage")) && last.Equal(path.PathStepAttributeName("name"))
	}
	var found []pipeline.Problem
	for _, problem := range definition.Validate() {
		at := pipelinePath(definition, problem)
		steps := at.Steps()
		// Which stage has which name is a matter of all of them.
		aboutNames := len(steps) >= 3 && within(at, path.Root("stage")) && steps[2].Equal(path.PathStepAttributeName("needs"))
		// Whether there has to be a source, and what else of an artifact may be
		// given, is a matter of the artifact's URL.
		aboutURL := (at.Equal(path.Root("source")) || within(at, path.Root("artifact"))) &&
			concernsUnknown(path.Root("artifact").AtName("url"), unknown)
		if concernsUnknown(at, unknown) || namesUnknown && aboutNames || aboutURL {
			continue
		}
		found = append(found, problem)
	}
	return found
}

// ModifyPlan computes the normalized definition, so that releases can be
// planned from it.
func (*pipelineResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var m pipelineModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := Diagnostics{Diagnostics: &resp.Diagnostics}
	m.ID = m.Name
	definition, unknown := m.definition(ctx, d)
	m.JSON = types.StringUnknown()
	if len(unknown) == 0 {
		for _, problem := range definition.Validate() {
			d.Invalid(pipelinePath(definition, problem), "Not a valid pipeline", sentence(problem.Message))
		}
		if resp.Diagnostics.HasError() {
			return
		}
		text, err := definition.JSON()
		if err != nil {
			d.Error(path.Empty(), "The definition cannot be written", err)
			return
		}
		m.JSON = types.StringValue(string(text))
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), m.ID)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("json"), m.JSON)...)
}

// Create keeps what was planned; by now all of it is known.
func (*pipelineResource) Create(_ context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.State.Raw = req.Plan.Raw
}

// Read has nothing to look at.
func (*pipelineResource) Read(_ context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	resp.State.Raw = req.State.Raw
}

// Update keeps what was planned.
func (*pipelineResource) Update(_ context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.Plan.Raw
}

// Delete has nothing to remove.
func (*pipelineResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
