// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// ValidateConfig finds what no single attribute can tell.
func (r *deploymentResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config deploymentModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := r.diagnostics(&resp.Diagnostics, config.SecretsWO)
	deployers := map[string]attr.Value{"ssh": config.SSH, "local": config.Local, "plugin": config.Plugin}
	switch given, unknown := count(deployers); {
	case len(given) == 0 && !unknown:
		d.Invalid(path.Empty(), "No deployer", "Say where the release shall run: add one of the blocks ssh, local and plugin.")
	case len(given) > 1:
		d.Invalid(path.Root(given[1]), "More than one deployer", "A deployment runs in one place: keep one of the blocks "+strings.Join(given, " and ")+", and make a second delivery_deployment for the other.")
	}
	if !config.Strategy.IsNull() && !config.Strategy.IsUnknown() {
		if given, unknown := count(config.Strategy.Attributes()); len(given) == 0 && !unknown {
			d.Invalid(path.Root("strategy"), "No strategy", "Add a block that says which one, such as rolling {}, or leave the block strategy out.")
		}
	}
	if !config.HealthCheck.IsNull() && !config.HealthCheck.IsUnknown() {
		probes := map[string]attr.Value{}
		for _, name := range []string{"http", "tcp", "command"} {
			probes[name] = config.HealthCheck.Attributes()[name]
		}
		if given, _ := count(probes); len(given) > 1 {
			d.Invalid(path.Root("health_check").AtName(given[1]), "More than one probe", "Keep one of the blocks "+strings.Join(given, " and ")+".")
		}
	}
	for _, required := range []struct {
		at   path.Path
		attr string
		in   types.Object
	}{
		{path.Root("plugin"), "name", config.Plugin},
		{path.Root("health_check").AtName("http"), "port", nested(config.HealthCheck, "http")},
		{path.Root("health_check").AtName("tcp"), "port", nested(config.HealthCheck, "tcp")},
		{path.Root("health_check").AtName("command"), "command", nested(config.HealthCheck, "command")},
	} {
		if value, ok := required.in.Attributes()[required.attr]; ok && value.IsNull() {
			d.Invalid(required.at.AtName(required.attr), "A value is missing", quote(required.attr)+" is required in this block.")
		}
	}
	if !config.SecretsWOVersion.IsNull() && config.SecretsWO.IsNull() {
		d.Invalid(path.Root("secrets_wo_version"), "A version without secrets", "secrets_wo_version counts versions of secrets_wo: set both, or neither.")
	}
}

// nested is a block within a block; null when either is not there.
func nested(in types.Object, name string) types.Object {
	if block, ok := in.Attributes()[name].(types.Object); ok {
		return block
	}
	return types.ObjectNull(nil)
}

// count names the blocks that are there, sorted, and says whether one is unknown.
func count(blocks map[string]attr.Value) (given []string, unknown bool) {
	for _, name := range sortedKeys(blocks) {
		switch value := blocks[name]; {
		case value.IsUnknown():
			unknown = true
		case !value.IsNull():
			given = append(given, name)
		}
	}
	return given, unknown
}
