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
	d := r.diagnostics(&resp.Diagnostics, config.secrets(ctx))
	deployers := map[string]attr.Value{"ssh": config.SSH, "local": config.Local, "plugin": config.Plugin}
	switch given, unknown := count(deployers); {
	case len(given) == 0 && !unknown:
		d.Invalid(path.Empty(), "No deployer", "Say where the release shall run: add one of the blocks ssh, local and plugin.")
	case len(given) > 1:
		d.Invalid(path.Root(given[1]), "More than one deployer", "A deployment runs in one place: keep one of the blocks "+strings.Join(given, " and ")+", and make a second delivery_deployment for the other.")
	}
	require(config.Plugin, "name", path.Root("plugin"), d)
	config.checkStrategy(ctx, d)
	config.checkHealth(ctx, d)
	config.checkCommands(d)
	config.checkAnalyses(ctx, d)
	config.checkTime(ctx, d)
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

// require finds an attribute that a block lacks.
func require(in types.Object, name string, at path.Path, d Diagnostics) {
	if value, ok := in.Attributes()[name]; ok && value.IsNull() {
		d.Invalid(at.AtName(name), "A value is missing", quote(name)+" is required in this block.")
	}
}

// pick takes blocks out of a block.
func pick(in types.Object, names ...string) map[string]attr.Value {
	out := make(map[string]attr.Value, len(names))
	for _, name := range names {
		if value, ok := in.Attributes()[name]; ok {
			out[name] = value
		}
	}
	return out
}

// enumerate joins words: "a", "a and b", "a, b and c".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
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
