// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
)

func revertBlock() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "What happens when an update fails. Changing it touches no instance.",
		Attributes: map[string]schema.Attribute{
			"automatic":    schema.BoolAttribute{Optional: true, MarkdownDescription: "Put the last good revision back on every switched instance, in reverse order. Default `true`."},
			"on_cancel":    schema.BoolAttribute{Optional: true, MarkdownDescription: "Do so too when the apply is cancelled. Default `false`: it stops where it is."},
			"timeout":      schema.StringAttribute{Optional: true, MarkdownDescription: "How long the way back may take in all. Default: what the number of instances and the health check need.", Validators: []validator.String{duration{time.Second, longestTimeout}}},
			"retry_failed": schema.BoolAttribute{Optional: true, MarkdownDescription: "Try a revision that failed here again at the next apply. With `false` it is refused until the release or the configuration changes. Default `true`."},
		},
	}
}

type revertModel struct {
	Automatic   types.Bool   `tfsdk:"automatic"`
	OnCancel    types.Bool   `tfsdk:"on_cancel"`
	Timeout     types.String `tfsdk:"timeout"`
	RetryFailed types.Bool   `tfsdk:"retry_failed"`
}

func (m deploymentModel) revert(ctx context.Context, d Diagnostics) rollout.Revert {
	r := readBlock[revertModel](ctx, m.Revert, d)
	return rollout.Revert{
		Automatic:    r.Automatic.IsNull() || r.Automatic.ValueBool(),
		OnCancel:     r.OnCancel.ValueBool(),
		Timeout:      durationOr(r.Timeout, 0),
		RefuseFailed: !r.RetryFailed.IsNull() && !r.RetryFailed.IsUnknown() && !r.RetryFailed.ValueBool(),
	}
}
