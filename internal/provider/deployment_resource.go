// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var (
	_ resource.Resource                   = (*deploymentResource)(nil)
	_ resource.ResourceWithConfigure      = (*deploymentResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*deploymentResource)(nil)
	_ resource.ResourceWithValidateConfig = (*deploymentResource)(nil)
	_ resource.ResourceWithImportState    = (*deploymentResource)(nil)
)

// How long operations may take when timeouts do not say.
const (
	defaultRolloutTimeout = 30 * time.Minute
	defaultDeleteTimeout  = 10 * time.Minute
)

// NewDeploymentResource is delivery_deployment.
func NewDeploymentResource() resource.Resource { return &deploymentResource{} }

type deploymentResource struct {
	data    *Data
	service *deployment.Service
}

func (r *deploymentResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deployment"
}

func (r *deploymentResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if r.data = dataFrom(req.ProviderData, Diagnostics{Diagnostics: &resp.Diagnostics}); r.data != nil {
		r.service = newDeploymentService(r.data)
	}
}

// Read looks at the target and keeps what it found. It changes nothing there.
func (r *deploymentResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	d := r.diagnostics(&resp.Diagnostics, types.MapNull(types.StringType))
	var state deploymentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	target, at, err := state.target(ctx)
	if err != nil || r.data.UnknownFor(target.Deployer) {
		return // just imported by name, or the connection is not known yet
	}
	private := readPrivate(ctx, req.Private, d)
	if resp.Diagnostics.HasError() {
		return
	}
	observed, err := r.service.Observe(ctx, target, state.known(ctx, d.Diagnostics), private)
	if err != nil {
		d.Warning(at, fmt.Sprintf("The deployment %s could not be looked at; the state keeps what was last known", target.ID()), err)
		return
	}
	tellNotes(d, at, target, observed.Private.Notes)
	observed.Private.Recipe = r.data.memory.recall(state.ReleaseID.ValueString()).recipe
	state.setKnown(ctx, observed.State, d.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
	writePrivate(ctx, resp.Private, observed.Private, d)
}

// tellNotes says what was found, in one warning for each kind of finding.
func tellNotes(d Diagnostics, at path.Path, target deployment.Target, notes []deployment.Note) {
	var unreachable, changed []string
	for _, note := range notes {
		line := note.Text
		if note.Instance != "" {
			line = note.Instance + ": " + line
		}
		if note.Unreachable {
			unreachable = append(unreachable, line)
		} else {
			changed = append(changed, line)
		}
	}
	if len(unreachable) > 0 {
		d.Notice(at, fmt.Sprintf("%s cannot be reached everywhere", target.ID()), strings.Join(unreachable, "\n"))
	}
	if len(changed) > 0 {
		d.Notice(at, fmt.Sprintf("%s is not as it was left", target.ID()), strings.Join(changed, "\n"))
	}
}

// Create makes a first deployment. A failed one is taken off again and leaves
// no state, so that it is never tainted; if that fails too, the state says so.
func (r *deploymentResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := r.diagnostics(&resp.Diagnostics, config.secrets(ctx))
	limit, diags := plan.Timeouts.Create(ctx, defaultRolloutTimeout)
	resp.Diagnostics.Append(diags...)
	spec, at := plan.spec(ctx, config, d)
	if resp.Diagnostics.HasError() {
		return
	}
	d.Locate = locator(bundled[spec.Deployer].target)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	applied, err := r.apply(ctx, deployment.ApplyRequest{Spec: spec, Kind: deployer.OperationCreate}, d)
	r.warn(d, at, applied)
	if err != nil {
		d.Error(at, fmt.Sprintf("The deployment %s failed", spec.ID()), err)
		if applied.Nothing {
			return
		}
		plan.ID = types.StringValue(spec.ID())
		plan.setKnown(ctx, applied.State, d.Diagnostics)
	} else {
		plan.succeed(ctx, applied.State, d)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	writePrivate(ctx, resp.Private, applied.Private, d)
}

// apply keeps the application's secrets out of everything that is written down.
func (r *deploymentResource) apply(ctx context.Context, req deployment.ApplyRequest, d Diagnostics) (deployment.Applied, error) {
	req.Redact = d.Redactor.Redact
	r.service.Progress = func(e rollout.Event) { logProgress(r.data, d.Redactor, e) }
	applied, err := r.service.Apply(ctx, req)
	for n := range applied.Private.Notes {
		applied.Private.Notes[n].Text = d.Redactor.Redact(applied.Private.Notes[n].Text)
	}
	for n := range applied.Private.Failed {
		applied.Private.Failed[n].Reason = d.Redactor.Redact(applied.Private.Failed[n].Reason)
	}
	return applied, err
}

// Update rolls out, repairs, adopts, or only notes new settings. After an
// error the state is the prior one with what was observed.
func (r *deploymentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state, config deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := r.diagnostics(&resp.Diagnostics, config.secrets(ctx))
	limit, diags := plan.Timeouts.Update(ctx, defaultRolloutTimeout)
	resp.Diagnostics.Append(diags...)
	spec, at := plan.spec(ctx, config, d)
	private := readPrivate(ctx, req.Private, d)
	if resp.Diagnostics.HasError() {
		return
	}
	before, _, targetErr := state.target(ctx)
	sameTarget := targetErr == nil && deployment.SameTarget(before, spec.Target)
	apply := deployment.ApplyRequest{Spec: spec, Known: state.known(ctx, d.Diagnostics), Private: private, Kind: deployer.OperationUpdate}
	if sameTarget && private.Owner != "" && plan.Instances.Equal(state.Instances) && !plan.Details.IsUnknown() {
		r.sendEvidence(ctx, apply, resp, d)
		if !resp.Diagnostics.HasError() {
			resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
		}
		return
	}
	switch {
	case private.Owner == "":
		apply.Kind = deployer.OperationAdopt
	case sameTarget && plan.ReleaseID.Equal(state.ReleaseID) && plan.EnvironmentVariables.Equal(state.EnvironmentVariables) && plan.SecretsWOVersion.Equal(state.SecretsWOVersion):
		apply.Kind = deployer.OperationRepair
	}
	if targetErr == nil && !sameTarget {
		apply.Previous = &before
	}
	d.Locate = locator(bundled[spec.Deployer].target)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	applied, err := r.apply(ctx, apply, d)
	r.warn(d, at, applied)
	if err != nil {
		d.Error(at, fmt.Sprintf("The %s of %s failed", apply.Kind, spec.ID()), err)
		state.setKnown(ctx, applied.State, d.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
	} else {
		plan.succeed(ctx, applied.State, d)
		resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	}
	writePrivate(ctx, resp.Private, applied.Private, d)
}

// sendEvidence sends what earlier operations could not, where nothing else is to do.
func (r *deploymentResource) sendEvidence(ctx context.Context, req deployment.ApplyRequest, resp *resource.UpdateResponse, d Diagnostics) {
	if !req.Private.Unsent {
		return
	}
	req.Redact = d.Redactor.Redact
	sent, err := r.service.SendEvidence(ctx, req)
	r.warn(d, path.Root("evidence"), sent)
	if err != nil {
		d.Error(path.Root("evidence"), fmt.Sprintf("The evidence of %s is incomplete", req.Spec.ID()), err)
		return
	}
	writePrivate(ctx, resp.Private, sent.Private, d)
}

// Delete takes off the instances what carries this resource's owner token.
func (r *deploymentResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	d := r.diagnostics(&resp.Diagnostics, types.MapNull(types.StringType))
	var state deploymentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := readPrivate(ctx, req.Private, d)
	if resp.Diagnostics.HasError() || state.OnDestroy.ValueString() == onDestroyRetain {
		return
	}
	limit, diags := state.Timeouts.Delete(ctx, defaultDeleteTimeout)
	resp.Diagnostics.Append(diags...)
	target, at, err := state.target(ctx)
	if err != nil {
		d.Notice(path.Empty(), "The deployment is forgotten, not removed", "It was imported by name and never applied, so nothing is known of where it runs.")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	applied, err := r.service.Destroy(ctx, deployment.DestroyRequest{
		Target: target, Known: state.known(ctx, d.Diagnostics), Private: private,
		Evidence: deployment.EvidenceMode(state.Evidence.ValueString()), LockTimeout: state.lockTimeout(),
		Redact: d.Redactor.Redact,
	})
	r.warn(d, at, applied)
	if err != nil {
		d.Error(at, fmt.Sprintf("The deployment %s could not be removed", target.ID()), err)
		state.setKnown(ctx, applied.State, d.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
	}
}

// succeed turns a plan into state: what was planned, word for word, and what
// only the apply could know.
func (m *deploymentModel) succeed(ctx context.Context, applied deployment.State, d Diagnostics) {
	planned := m.Instances
	running, previous := m.RunningReleaseID, m.PreviousReleaseID
	details, commits, deployedAt := m.Details, m.Commits, m.DeployedAt
	m.setKnown(ctx, applied, d.Diagnostics)
	m.ID = types.StringValue(m.Environment.ValueString() + "/" + m.Name.ValueString())
	if fullyKnown(ctx, planned) {
		m.Instances = planned
	}
	if !running.IsUnknown() {
		m.RunningReleaseID = running
	}
	if !previous.IsUnknown() {
		m.PreviousReleaseID = previous
	}
	if !details.IsUnknown() {
		m.Details, m.Commits, m.DeployedAt = details, commits, deployedAt
	}
}

func (r *deploymentResource) warn(d Diagnostics, at path.Path, applied deployment.Applied) {
	for _, text := range applied.Warnings {
		d.Notice(at, "Something to know about this deployment", text)
	}
}

func (r *deploymentResource) diagnostics(to *diag.Diagnostics, secrets types.Map) Diagnostics {
	d := Diagnostics{Diagnostics: to}
	if r.data == nil {
		return d
	}
	d.Redactor = r.data.Redactor
	for _, secret := range stringMap(secrets) {
		d.Redactor = d.Redactor.With(secret)
	}
	return d
}
