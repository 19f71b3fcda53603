// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	planned := deployment.Compute(spec, wanted, known, private)
	plan.promise(planned, state, d)
	if state != nil || len(planned.Instances) > 1 {
		explainPlan(d, at, spec, planned, known, private, state, plan, r.newCommits(ctx, known, spec))
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
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

// explainPlan is the one warning that tells a reviewer in which order things
// will be done, what differs besides the release, and what to beware of.
func explainPlan(d Diagnostics, at path.Path, spec deployment.Spec, planned deployment.Planned, known deployment.State, private deployment.Private, state *deploymentModel, plan deploymentModel, commits []commitModel) {
	if !planned.Changes || planned.Unknown {
		return
	}
	var lines []string
	if len(planned.Batches) > 0 {
		lines = append(lines, "Order: "+order(planned.Batches)+".")
	}
	if state != nil {
		if fields := changedFields(*state, plan); len(fields) > 0 {
			lines = append(lines, "Changed besides the release: "+strings.Join(fields, ", ")+".")
		}
	}
	if len(commits) > 0 {
		lines = append(lines, "Brings: "+commitList(commits)+".")
	}
	if len(planned.Moves) > 0 {
		slices.Sort(planned.Moves)
		lines = append(lines, "Moved (added at the new place, then removed from the old one): "+strings.Join(planned.Moves, ", ")+".")
	}
	var removed []string
	for id := range known.Instances {
		if _, stays := planned.Instances[id]; !stays {
			removed = append(removed, id)
		}
	}
	if slices.Sort(removed); len(removed) > 0 {
		lines = append(lines, "Removed after success: "+strings.Join(removed, ", ")+".")
	}
	for _, f := range private.Failed {
		if planned.Revision != "" && planned.Revision == f.Revision {
			lines = append(lines, fmt.Sprintf("This revision of %s failed here before, at %s: %s.", f.Release, f.Time.UTC().Format(time.RFC3339), strings.TrimRight(f.Reason, ".")))
		}
	}
	if len(private.Recipe) > 0 && state != nil && state.ReleaseID.Equal(plan.ReleaseID) {
		lines = append(lines, fmt.Sprintf("Release %s is not in the store; if an instance needs its bytes, it is made again from the same inputs.", spec.ReleaseID))
	}
	if private.Owner == "" && state != nil {
		lines = append(lines, "The deployment is adopted: what already runs the right revision is not touched.")
	}
	if len(lines) > 0 {
		d.Notice(at, fmt.Sprintf("How %s will be rolled out", spec.ID()), strings.Join(lines, "\n"))
	}
}

// order shows the batches, shortened when there are many.
func order(batches [][]string) string {
	var parts []string
	for n, batch := range batches {
		if n == 10 && len(batches) > 12 {
			parts = append(parts, fmt.Sprintf("… (%d batches in all)", len(batches)))
			break
		}
		parts = append(parts, strings.Join(batch, " + "))
	}
	return strings.Join(parts, ", then ")
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

// commitList shows the newest commits, shortened when there are many.
func commitList(commits []commitModel) string {
	var parts []string
	for n, c := range commits {
		if n == 10 && len(commits) > 12 {
			parts = append(parts, fmt.Sprintf("and %d more", len(commits)-n))
			break
		}
		sha := c.SHA.ValueString()
		parts = append(parts, fmt.Sprintf("%s %s (%s)", sha[:min(7, len(sha))], c.Subject.ValueString(), c.Author.ValueString()))
	}
	return strings.Join(parts, "; ")
}

// changedFields names what differs in configuration, without values.
func changedFields(state, plan deploymentModel) []string {
	var out []string
	objects := map[string][2]types.Object{"ssh": {state.SSH, plan.SSH}, "local": {state.Local, plan.Local}, "plugin": {state.Plugin, plan.Plugin}}
	for block, o := range objects {
		before, after := o[0].Attributes(), o[1].Attributes()
		for name, value := range after {
			if was, ok := before[name]; !ok || !was.Equal(value) {
				out = append(out, block+"."+name)
			}
		}
	}
	before, after := state.EnvironmentVariables.Elements(), plan.EnvironmentVariables.Elements()
	for name, value := range after {
		if was, ok := before[name]; !ok || !was.Equal(value) {
			out = append(out, "environment_variables["+name+"]")
		}
	}
	for name := range maps.Keys(before) {
		if _, ok := after[name]; !ok {
			out = append(out, "environment_variables["+name+"] (removed)")
		}
	}
	if !state.SecretsWOVersion.Equal(plan.SecretsWOVersion) {
		out = append(out, "secrets_wo_version")
	}
	slices.Sort(out)
	return out
}
