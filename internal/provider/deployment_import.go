// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// importForms tells what import takes.
const importForms = "Give either <environment>/<name>, which adopts the deployment at the next apply, " +
	"or a JSON object with the members environment, name and one of ssh, local and plugin, as in the configuration, which also shows what runs there."

// ImportState takes "environment/name", or a JSON object that says where the
// deployment runs as well, so that Read can look at it.
func (r *deploymentResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	d := r.diagnostics(&resp.Diagnostics, types.MapNull(types.StringType))
	given := map[string]json.RawMessage{}
	if strings.HasPrefix(strings.TrimSpace(req.ID), "{") {
		if err := json.Unmarshal([]byte(req.ID), &given); err != nil {
			d.Invalid(path.Root("id"), "The import id is not JSON", err.Error()+". "+importForms)
			return
		}
	} else {
		environment, name, _ := strings.Cut(req.ID, "/")
		given["environment"], _ = json.Marshal(environment)
		given["name"], _ = json.Marshal(name)
	}
	var where string
	for _, key := range []string{"environment", "name"} {
		var value string
		if json.Unmarshal(given[key], &value) != nil || !namePattern.MatchString(value) {
			d.Invalid(path.Root(key), "The import id names no deployment", importForms)
			return
		}
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(key), value)...)
		where += "/" + value
		delete(given, key)
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), where[1:])...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("on_destroy"), onDestroyRemove)...)
	if len(given) > 1 {
		d.Invalid(path.Root("id"), "The import id has more than one deployer", importForms)
		return
	}
	for key, raw := range given {
		block, ok := resp.State.Schema.GetBlocks()[key]
		if !ok || key != "ssh" && key != "local" && key != "plugin" {
			d.Invalid(path.Root("id"), fmt.Sprintf("The import id has an unknown member %q", key), importForms)
			return
		}
		value, err := valueFromJSON(ctx, raw, block.Type())
		if err != nil {
			d.Error(path.Root(key), "The import id does not fit the configuration", err)
			return
		}
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(key), value)...)
	}
}
