// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
)

// deploymentModel mirrors the schema of delivery_deployment.
type deploymentModel struct {
	ID                   types.String   `tfsdk:"id"`
	Name                 types.String   `tfsdk:"name"`
	Environment          types.String   `tfsdk:"environment"`
	ReleaseID            types.String   `tfsdk:"release_id"`
	EnvironmentVariables types.Map      `tfsdk:"environment_variables"`
	SecretsWO            types.Map      `tfsdk:"secrets_wo"`
	SecretsWOVersion     types.Int64    `tfsdk:"secrets_wo_version"`
	OnDestroy            types.String   `tfsdk:"on_destroy"`
	SSH                  types.Object   `tfsdk:"ssh"`
	Local                types.Object   `tfsdk:"local"`
	Plugin               types.Object   `tfsdk:"plugin"`
	Strategy             types.Object   `tfsdk:"strategy"`
	HealthCheck          types.Object   `tfsdk:"health_check"`
	Revert               types.Object   `tfsdk:"revert"`
	Tasks                types.Object   `tfsdk:"tasks"`
	Hooks                types.Object   `tfsdk:"hooks"`
	Analysis             types.List     `tfsdk:"analysis"`
	LockTimeout          types.String   `tfsdk:"lock_timeout"`
	Evidence             types.String   `tfsdk:"evidence"`
	Timeouts             timeouts.Value `tfsdk:"timeouts"`

	RunningReleaseID  types.String `tfsdk:"running_release_id"`
	PreviousReleaseID types.String `tfsdk:"previous_release_id"`
	DeployedAt        types.String `tfsdk:"deployed_at"`
	Instances         types.Map    `tfsdk:"instances"`
	Details           types.Map    `tfsdk:"details"`
	Commits           types.List   `tfsdk:"commits"`
}

// Values of on_destroy.
const (
	onDestroyRemove = "remove"
	onDestroyRetain = "retain"
)

var (
	instanceType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"release": types.StringType, "revision": types.StringType, "health": types.StringType, "address": types.StringType,
	}}
	detailType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"digest": types.StringType, "address": types.StringType, "since": types.StringType, "observed_health": types.StringType,
	}}
)

type instanceModel struct {
	Release  types.String `tfsdk:"release"`
	Revision types.String `tfsdk:"revision"`
	Health   types.String `tfsdk:"health"`
	Address  types.String `tfsdk:"address"`
}

type detailModel struct {
	Digest         types.String `tfsdk:"digest"`
	Address        types.String `tfsdk:"address"`
	Since          types.String `tfsdk:"since"`
	ObservedHealth types.String `tfsdk:"observed_health"`
}

// orNull is null for "".
func orNull(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// known reads what the computed attributes say.
func (m deploymentModel) known(ctx context.Context, diags *diag.Diagnostics) deployment.State {
	state := deployment.State{
		RunningReleaseID:  m.RunningReleaseID.ValueString(),
		PreviousReleaseID: m.PreviousReleaseID.ValueString(),
		Instances:         map[string]deployment.Instance{},
		Details:           map[string]deployment.Detail{},
	}
	state.DeployedAt, _ = time.Parse(time.RFC3339, m.DeployedAt.ValueString())
	if !m.Instances.IsNull() && !m.Instances.IsUnknown() {
		var all map[string]instanceModel
		diags.Append(m.Instances.ElementsAs(ctx, &all, false)...)
		for id, i := range all {
			state.Instances[id] = deployment.Instance{
				Release: i.Release.ValueString(), Revision: i.Revision.ValueString(),
				Health: i.Health.ValueString(), Address: i.Address.ValueString(),
			}
		}
	}
	if !m.Details.IsNull() && !m.Details.IsUnknown() {
		var all map[string]detailModel
		diags.Append(m.Details.ElementsAs(ctx, &all, false)...)
		for id, d := range all {
			state.Details[id] = deployment.Detail{
				Digest: d.Digest.ValueString(), Address: d.Address.ValueString(),
				Since: d.Since.ValueString(), ObservedHealth: d.ObservedHealth.ValueString(),
			}
		}
	}
	if !m.Commits.IsNull() && !m.Commits.IsUnknown() {
		var all []commitModel
		diags.Append(m.Commits.ElementsAs(ctx, &all, false)...)
		for _, c := range all {
			state.Commits = append(state.Commits, deployment.Commit{SHA: c.SHA.ValueString(), Author: c.Author.ValueString(), Subject: c.Subject.ValueString()})
		}
	}
	return state
}

// setKnown writes the computed attributes, all known.
func (m *deploymentModel) setKnown(ctx context.Context, state deployment.State, diags *diag.Diagnostics) {
	instances := make(map[string]attr.Value, len(state.Instances))
	for id, i := range state.Instances {
		instances[id] = instanceValue(i)
	}
	m.Instances = mapValue(instanceType, instances, diags)
	m.setObserved(ctx, state, diags)
	m.RunningReleaseID = orNull(state.RunningReleaseID)
	m.PreviousReleaseID = orNull(state.PreviousReleaseID)
}

// setObserved writes the attributes that a plan does not promise.
func (m *deploymentModel) setObserved(ctx context.Context, state deployment.State, diags *diag.Diagnostics) {
	details := make(map[string]attr.Value, len(state.Details))
	for id, d := range state.Details {
		details[id] = types.ObjectValueMust(detailType.AttrTypes, map[string]attr.Value{
			"digest": orNull(d.Digest), "address": orNull(d.Address), "since": orNull(d.Since), "observed_health": orNull(d.ObservedHealth),
		})
	}
	m.Details = mapValue(detailType, details, diags)
	commits := make([]commitModel, 0, len(state.Commits))
	for _, c := range state.Commits {
		commits = append(commits, commitModel{SHA: types.StringValue(c.SHA), Author: types.StringValue(c.Author), Subject: types.StringValue(c.Subject)})
	}
	list, d := types.ListValueFrom(ctx, commitType, commits)
	diags.Append(d...)
	m.Commits = list
	m.DeployedAt = types.StringNull()
	if !state.DeployedAt.IsZero() {
		m.DeployedAt = types.StringValue(state.DeployedAt.UTC().Format(time.RFC3339))
	}
}

func instanceValue(i deployment.Instance) attr.Value {
	return types.ObjectValueMust(instanceType.AttrTypes, map[string]attr.Value{
		"release": orNull(i.Release), "revision": orNull(i.Revision), "health": orNull(i.Health), "address": orNull(i.Address),
	})
}

func mapValue(element attr.Type, values map[string]attr.Value, diags *diag.Diagnostics) basetypes.MapValue {
	m, d := types.MapValue(element, values)
	diags.Append(d...)
	return m
}
