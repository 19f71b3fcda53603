// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// minHealthyWithoutCheck is how long a process must stay up when no health
// check can say that it works.
const minHealthyWithoutCheck = 2 * time.Second

// defaultLockTimeout is how long an operation waits for another one to finish.
const defaultLockTimeout = 10 * time.Second

// evidenceModes are the values of evidence.
var evidenceModes = []string{string(deployment.EvidenceBestEffort), string(deployment.EvidenceRequired), string(deployment.EvidenceOff)}

var asKnown = basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true}

type customDeployerModel struct {
	Name   types.String  `tfsdk:"name"`
	Config types.Dynamic `tfsdk:"config"`
}

// readBlock reads a block as far as it is known; one that is not there is empty.
func readBlock[T any](ctx context.Context, block types.Object, d Diagnostics) T {
	var read T
	if !block.IsNull() {
		d.Append(block.As(ctx, &read, asKnown)...)
	}
	return read
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

// spec reads what the user asks for. What is write-only comes from the
// configuration, the only place where it is.
func (m deploymentModel) spec(ctx context.Context, config deploymentModel, d Diagnostics) (deployment.Spec, path.Path) {
	target, at, err := m.target(ctx)
	if err != nil {
		d.Error(at, "The target cannot be read", err)
		return deployment.Spec{}, at
	}
	health := m.healthCheck(ctx, d).translate()
	minHealthy := time.Duration(0)
	if health.Probe == (deployer.Probe{}) {
		minHealthy = minHealthyWithoutCheck
	}
	return deployment.Spec{
		Target:         target,
		ReleaseID:      m.ReleaseID.ValueString(),
		Variables:      stringMap(m.EnvironmentVariables),
		Secrets:        stringMap(config.SecretsWO),
		SecretsVersion: m.SecretsWOVersion.ValueInt64(),
		Strategy:       m.strategy(ctx, d).translate(ctx, minHealthy, d),
		Health:         health,
		Revert:         m.revert(ctx, d),
		Tasks:          m.tasks(ctx, d),
		Hooks:          m.hooks(ctx, d),
		Analyses:       config.analyses(ctx, d),
		LockTimeout:    m.lockTimeout(),
		Evidence:       deployment.EvidenceMode(m.Evidence.ValueString()),
		RevisionUnknown: m.ReleaseID.IsUnknown() || !fullyKnown(ctx, m.EnvironmentVariables) ||
			m.SecretsWOVersion.IsUnknown(),
	}, at
}

func (m deploymentModel) lockTimeout() time.Duration {
	return durationOr(m.LockTimeout, defaultLockTimeout)
}

// secrets are the values of write-only arguments, which no message may show.
func (m deploymentModel) secrets(ctx context.Context) types.Map {
	all := stringMap(m.SecretsWO)
	var ignored diag.Diagnostics // what cannot be read is said where it is used
	maps.Copy(all, m.secretHeaders(ctx, Diagnostics{Diagnostics: &ignored}))
	values := make(map[string]attr.Value, len(all))
	for name, value := range all {
		values[name] = types.StringValue(value)
	}
	return types.MapValueMust(types.StringType, values)
}

// durationOr reads a duration that a validator has passed.
func durationOr(s types.String, fallback time.Duration) time.Duration {
	d, err := time.ParseDuration(s.ValueString())
	if err != nil {
		return fallback
	}
	return d
}

// stringList reads a list's known values.
func stringList(l types.List) []string {
	var out []string
	for _, v := range l.Elements() {
		if s, ok := v.(types.String); ok && !s.IsNull() && !s.IsUnknown() {
			out = append(out, s.ValueString())
		}
	}
	return out
}

// stringMaps joins maps' known values; later ones win.
func stringMaps(all ...types.Map) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, stringMap(m))
	}
	return out
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
