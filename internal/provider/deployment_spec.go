// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// minHealthyWithoutCheck is how long a process must stay up when no health
// check can say that it works.
const minHealthyWithoutCheck = 2 * time.Second

var asKnown = basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true}

type customDeployerModel struct {
	Name   types.String  `tfsdk:"name"`
	Config types.Dynamic `tfsdk:"config"`
}

type strategyModel struct {
	Rolling *struct {
		MaxParallel    types.Int64  `tfsdk:"max_parallel"`
		MinHealthyTime types.String `tfsdk:"min_healthy_time"`
	} `tfsdk:"rolling"`
}

type healthCheckModel struct {
	Interval        types.String       `tfsdk:"interval"`
	Timeout         types.String       `tfsdk:"timeout"`
	HealthyDeadline types.String       `tfsdk:"healthy_deadline"`
	HTTP            *httpProbeModel    `tfsdk:"http"`
	TCP             *tcpProbeModel     `tfsdk:"tcp"`
	Command         *commandProbeModel `tfsdk:"command"`
}

type httpProbeModel struct {
	Scheme  types.String `tfsdk:"scheme"`
	Host    types.String `tfsdk:"host"`
	Port    types.Int64  `tfsdk:"port"`
	Path    types.String `tfsdk:"path"`
	Headers types.Map    `tfsdk:"headers"`
}

type tcpProbeModel struct {
	Host types.String `tfsdk:"host"`
	Port types.Int64  `tfsdk:"port"`
}

type commandProbeModel struct {
	Command types.String `tfsdk:"command"`
}

type revertModel struct {
	Automatic types.Bool `tfsdk:"automatic"`
	OnCancel  types.Bool `tfsdk:"on_cancel"`
}

// errNoDeployer says that a model names no deployer, as after an import.
var errNoDeployer = errors.New("no deployer is configured")

// target reads where the deployment runs: the deployer, its configuration as
// JSON, and the path of the configuration's block.
func (m deploymentModel) target(ctx context.Context) (deployment.Target, path.Path, error) {
	t := deployment.Target{Environment: m.Environment.ValueString(), Name: m.Name.ValueString()}
	for name, block := range map[string]types.Object{"ssh": m.SSH, "local": m.Local} {
		if block.IsNull() {
			continue
		}
		config, err := ObjectJSON(ctx, block)
		t.Deployer, t.Config = name, config
		return t, path.Root(name), err
	}
	if m.Plugin.IsNull() || m.Plugin.IsUnknown() {
		return t, path.Empty(), errNoDeployer
	}
	var custom customDeployerModel
	if diags := m.Plugin.As(ctx, &custom, asKnown); diags.HasError() {
		return t, path.Root("plugin"), errors.New(diags.Errors()[0].Detail())
	}
	t.Deployer = custom.Name.ValueString()
	at := path.Root("plugin").AtName("config")
	if t.Deployer == "" {
		return t, at, errNoDeployer
	}
	t.Config = json.RawMessage("{}")
	if !custom.Config.IsNull() && !custom.Config.IsUnderlyingValueNull() {
		config, err := DynamicJSON(ctx, custom.Config)
		if err != nil {
			return t, at, err
		}
		t.Config = config
	}
	return t, at, nil
}

// spec reads what the user asks for. Secrets come from the configuration, the
// only place where they are.
func (m deploymentModel) spec(ctx context.Context, secrets types.Map, d Diagnostics) (deployment.Spec, path.Path) {
	target, at, err := m.target(ctx)
	if err != nil {
		d.Error(at, "The target cannot be read", err)
		return deployment.Spec{}, at
	}
	spec := deployment.Spec{
		Target:         target,
		ReleaseID:      m.ReleaseID.ValueString(),
		Variables:      stringMap(m.EnvironmentVariables),
		Secrets:        stringMap(secrets),
		SecretsVersion: m.SecretsWOVersion.ValueInt64(),
		RevisionUnknown: m.ReleaseID.IsUnknown() || !fullyKnown(ctx, m.EnvironmentVariables) ||
			m.SecretsWOVersion.IsUnknown(),
	}
	spec.Strategy, spec.Health = m.rollout(ctx, d)
	var revert revertModel
	if !m.Revert.IsNull() {
		d.Append(m.Revert.As(ctx, &revert, asKnown)...)
	}
	spec.Revert = rollout.Revert{
		Automatic: revert.Automatic.IsNull() || revert.Automatic.ValueBool(),
		OnCancel:  revert.OnCancel.ValueBool(),
	}
	return spec, at
}

func (m deploymentModel) rollout(ctx context.Context, d Diagnostics) (rollout.Strategy, rollout.HealthCheck) {
	var strategy strategyModel
	if !m.Strategy.IsNull() {
		d.Append(m.Strategy.As(ctx, &strategy, asKnown)...)
	}
	var check healthCheckModel
	if !m.HealthCheck.IsNull() {
		d.Append(m.HealthCheck.As(ctx, &check, asKnown)...)
	}
	health := rollout.HealthCheck{
		Probe:           check.probe(),
		Interval:        durationOr(check.Interval, 0),
		Timeout:         durationOr(check.Timeout, 0),
		HealthyDeadline: durationOr(check.HealthyDeadline, 0),
	}
	rolling := rollout.Rolling{MaxParallel: rollout.Count(1)}
	if health.Probe == (deployer.Probe{}) {
		rolling.MinHealthyTime = minHealthyWithoutCheck
	}
	if r := strategy.Rolling; r != nil {
		if !r.MaxParallel.IsNull() {
			rolling.MaxParallel = rollout.Count(int(r.MaxParallel.ValueInt64()))
		}
		rolling.MinHealthyTime = durationOr(r.MinHealthyTime, rolling.MinHealthyTime)
	}
	return rolling, health
}

func (c healthCheckModel) probe() deployer.Probe {
	switch {
	case c.HTTP != nil:
		return deployer.Probe{HTTP: &deployer.HTTPProbe{
			Scheme: c.HTTP.Scheme.ValueString(), Host: c.HTTP.Host.ValueString(), Port: int(c.HTTP.Port.ValueInt64()),
			Path: c.HTTP.Path.ValueString(), Headers: stringMap(c.HTTP.Headers),
		}}
	case c.TCP != nil:
		return deployer.Probe{TCP: &deployer.TCPProbe{Host: c.TCP.Host.ValueString(), Port: int(c.TCP.Port.ValueInt64())}}
	case c.Command != nil:
		return deployer.Probe{Command: &deployer.CommandProbe{Command: c.Command.Command.ValueString()}}
	}
	return deployer.Probe{}
}

// durationOr reads a duration that a validator has passed.
func durationOr(s types.String, fallback time.Duration) time.Duration {
	d, err := time.ParseDuration(s.ValueString())
	if err != nil {
		return fallback
	}
	return d
}

// stringMap reads a map's known values.
func stringMap(m types.Map) map[string]string {
	out := make(map[string]string, len(m.Elements()))
	for k, v := range m.Elements() {
		if s, ok := v.(types.String); ok && !s.IsNull() && !s.IsUnknown() {
			out[k] = s.ValueString()
		}
	}
	return out
}
