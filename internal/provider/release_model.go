// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// releaseModel mirrors the schema of delivery_release.
type releaseModel struct {
	Pipeline  types.String   `tfsdk:"pipeline"`
	Ref       types.String   `tfsdk:"ref"`
	Version   types.String   `tfsdk:"version"`
	ID        types.String   `tfsdk:"id"`
	Commit    types.String   `tfsdk:"commit"`
	Commits   types.List     `tfsdk:"commits"`
	Digest    types.String   `tfsdk:"digest"`
	Size      types.Int64    `tfsdk:"size"`
	Checks    types.Map      `tfsdk:"checks"`
	CreatedAt types.String   `tfsdk:"created_at"`
	Timeouts  timeouts.Value `tfsdk:"timeouts"`
}

type commitModel struct {
	SHA     types.String `tfsdk:"sha"`
	Author  types.String `tfsdk:"author"`
	Subject types.String `tfsdk:"subject"`
}

// checksValue is what the evidence says about stages.
func checksValue(checks map[string]store.Check) types.Map {
	values := make(map[string]attr.Value, len(checks))
	for stage, c := range checks {
		values[stage] = types.ObjectValueMust(checkType.AttrTypes, map[string]attr.Value{
			"status":   types.StringValue(c.Status),
			"tests":    types.Int64Value(int64(c.Tests)),
			"failures": types.Int64Value(int64(c.Failures)),
			"skipped":  types.Int64Value(int64(c.Skipped)),
			"duration": types.StringValue(c.Duration.Round(time.Millisecond).String()),
		})
	}
	return types.MapValueMust(checkType, values)
}

// commitsValue is a list of commits, newest first.
func commitsValue(ctx context.Context, commits []commitModel, d Diagnostics) types.List {
	if commits == nil {
		commits = []commitModel{}
	}
	list, diags := types.ListValueFrom(ctx, commitType, commits)
	d.Append(diags...)
	return list
}

// timeValue is a time in RFC 3339, null for the zero time.
func timeValue(t time.Time) types.String {
	if t.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(t.UTC().Format(time.RFC3339))
}
