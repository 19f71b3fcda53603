// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
)

// lookTimeout bounds a look that only serves a warning.
const lookTimeout = 10 * time.Second

// ModifyPlan computes what will run where from the configuration, the state
// and what Read kept. It looks at nothing live: Terraform plans again when it
// applies, and must come to the same result.
func (r *deploymentResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil || req.Plan.Raw.IsNull() {
		return
	}
	var plan, config deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := r.diagnostics(&resp.Diagnostics, config.secrets(ctx))
	var state *deploymentModel
	var private deployment.Private
	known := deployment.State{}
	if !req.State.Raw.IsNull() {
		state = &deploymentModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
		private = readPrivate(ctx, req.Private, d)
		known = state.known(ctx, d.Diagnostics)
	}
	if !plan.Name.IsUnknown() && !plan.Environment.IsUnknown() {
		plan.ID = types.StringValue(plan.Environment.ValueString() + "/" + plan.Name.ValueString())
	}
	if block := plan.unknownBlock(); block != "" {
		plan.setUnknown()
		resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
		return
	}
	spec, at := plan.spec(ctx, config, d)
	if resp.Diagnostics.HasError() {
		return
	}
	if state != nil && r.replaces(ctx, *state, spec, at, resp, d) {
		state, known, private = nil, deployment.State{}, deployment.Private{}
	}
	wanted, err := r.service.Validate(ctx, spec)
	if err != nil {
		d.Error(at, fmt.Sprintf("The configuration of %s cannot be checked", spec.ID()), err)
		return
	}
	appendFindings(d, wanted.Schema, at, wanted.Validation.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	if checkFit(d, spec, wanted); resp.Diagnostics.HasError() {
		return
	}
	wanted.SecretNames, wanted.Later = sortedKeys(config.SecretsWO.Elements()), plan.later(ctx, config.SecretsWO)
	planned := deployment.Compute(spec, wanted, known, private)
	plan.promise(planned, state, d)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
	if planned.Changes && !planned.Unknown && !resp.Diagnostics.HasError() {
		e := explanation{spec: spec, at: at, wanted: wanted, planned: planned, known: known, private: private, state: state}
		if state != nil {
			if before, _, err := state.target(ctx); err == nil {
				e.settings = deployment.SettingsChanged(before, wanted)
			}
		}
		r.explain(ctx, d, e)
	}
}

// replaces says whether another object takes this one's place, and announces
// that it means downtime. A new name or environment is a replacement by the
// schema; a new kind of deployer by what is done here.
func (r *deploymentResource) replaces(ctx context.Context, state deploymentModel, spec deployment.Spec, at path.Path, resp *resource.ModifyPlanResponse, d Diagnostics) bool {
	before, was, err := state.target(ctx)
	switch {
	case before.ID() != spec.ID():
		d.Notice(path.Empty(), "Another name means downtime", fmt.Sprintf("%s is removed first, and then %s is deployed.", before.ID(), spec.ID()))
	case err == nil && before.Deployer != spec.Deployer:
		resp.RequiresReplace = append(resp.RequiresReplace, blockOf(was), blockOf(at))
		d.Notice(at, "Another deployer means downtime", fmt.Sprintf("%s is removed by the deployer %q first, and then deployed by %q.", spec.ID(), before.Deployer, spec.Deployer))
	default:
		return false
	}
	return true
}

// blockOf is the top-level block that a path leads into.
func blockOf(at path.Path) path.Path {
	for len(at.Steps()) > 1 {
		at = at.ParentPath()
	}
	return at
}

// unknownBlock names a block whose contents are not known at all yet.
func (m deploymentModel) unknownBlock() string {
	for name, block := range map[string]attr.Value{"ssh": m.SSH, "local": m.Local, "plugin": m.Plugin, "environment": m.Environment, "name": m.Name} {
		if block.IsUnknown() {
			return name
		}
	}
	return ""
}

func (m *deploymentModel) setUnknown() {
	m.Instances = types.MapUnknown(instanceType)
	m.Details = types.MapUnknown(detailType)
	m.Commits = types.ListUnknown(commitType)
	m.RunningReleaseID, m.PreviousReleaseID, m.DeployedAt = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
}

// promise writes what will be true into the plan. Without a change on any
// instance, what was observed stays as it is.
func (m *deploymentModel) promise(planned deployment.Planned, state *deploymentModel, d Diagnostics) {
	if state != nil && !planned.Changes {
		m.Instances, m.Details, m.Commits = state.Instances, state.Details, state.Commits
		m.RunningReleaseID, m.PreviousReleaseID, m.DeployedAt = state.RunningReleaseID, state.PreviousReleaseID, state.DeployedAt
		return
	}
	m.setUnknown()
	m.RunningReleaseID = m.ReleaseID
	switch {
	case m.ReleaseID.IsUnknown():
	case state == nil:
		m.PreviousReleaseID = types.StringNull()
	case state.RunningReleaseID.IsNull() || state.RunningReleaseID.Equal(m.ReleaseID):
		m.PreviousReleaseID = state.PreviousReleaseID
	default:
		m.PreviousReleaseID = state.RunningReleaseID
	}
	if planned.Unknown {
		return
	}
	instances := make(map[string]attr.Value, len(planned.Instances))
	for id, i := range planned.Instances {
		attributes := map[string]attr.Value{
			"release": m.ReleaseID, "revision": types.StringUnknown(), "health": types.StringValue(i.Health), "address": types.StringUnknown(),
		}
		if i.Revision != "" {
			attributes["revision"] = types.StringValue(i.Revision)
		}
		if !i.AddressUnknown {
			attributes["address"] = orNull(i.Address)
		}
		instances[id] = types.ObjectValueMust(instanceType.AttrTypes, attributes)
	}
	m.Instances = mapValue(instanceType, instances, d.Diagnostics)
}

// newCommits lists what a release brings, for the plan's warning: from the
// release that is planned beside it, else from the store and Git, if they can
// tell soon.
func (r *deploymentResource) newCommits(ctx context.Context, known deployment.State, spec deployment.Spec) []commitModel {
	if known.RunningReleaseID == spec.ReleaseID {
		return nil
	}
	if commits := r.data.memory.recall(spec.ReleaseID).commits; len(commits) > 0 {
		return commits
	}
	if known.RunningReleaseID == "" || r.data.Unknown.Store || r.data.Unknown.Git {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var commits []commitModel
	for _, c := range r.service.NewCommits(ctx, known.RunningReleaseID, spec.ReleaseID) {
		commits = append(commits, commitModel{SHA: types.StringValue(c.SHA), Author: types.StringValue(c.Author), Subject: types.StringValue(c.Subject)})
	}
	return commits
}
