// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
)

// strategies are the blocks of strategy, of which exactly one is there.
var strategies = []string{"all_at_once", "blue_green", "canary", "rolling"}

func strategyBlock() schema.Block {
	order := schema.ListAttribute{
		Optional:            true,
		ElementType:         types.StringType,
		MarkdownDescription: "Names of instances that go first, in this order. The others follow by name.",
		Validators:          []validator.List{distinct{"an instance"}},
	}
	return schema.SingleNestedBlock{
		MarkdownDescription: "How instances are brought to a new revision: exactly one of `rolling`, `canary`, `blue_green` and `all_at_once`. Default: `rolling`, one at a time. Changing it touches no instance.",
		Blocks: map[string]schema.Block{
			"rolling": schema.SingleNestedBlock{
				MarkdownDescription: "Some instances at a time; the next batch begins when the last one is healthy.",
				Attributes: map[string]schema.Attribute{
					"max_parallel":     amountAttribute("How many instances are switched at once: a number, such as `2`, or a share of all, such as `\"25%\"`. Default `1`."),
					"max_failures":     schema.Int64Attribute{Optional: true, MarkdownDescription: "How many instances may fail before the rollout is given up. The apply is an error even if only one fails. Default `0`.", Validators: []validator.Int64{int64validator.AtLeast(0)}},
					"min_healthy_time": minHealthyAttribute("How long an instance must stay healthy before it counts"),
					"pause":            waitAttribute("How long to wait between two batches. Default `0s`."),
					"order":            order,
				},
			},
			"canary": canaryBlock(order),
			"blue_green": schema.SingleNestedBlock{
				MarkdownDescription: "Start the new revision everywhere beside the one that serves, check it, and switch the traffic at once. For deployers that can run two revisions side by side.",
				Attributes: map[string]schema.Attribute{
					"min_healthy_time": minHealthyAttribute("How long the new revision must stay healthy before the switch"),
					"keep_old":         waitAttribute("How long the old revision stays after the switch, for an instant return. The apply ends when that time is over. Default `0s`."),
				},
			},
			"all_at_once": schema.SingleNestedBlock{
				MarkdownDescription: "Prepare the release on every instance and, only if that succeeds everywhere, switch all at once.",
				Attributes: map[string]schema.Attribute{
					"min_healthy_time": minHealthyAttribute("How long an instance must stay healthy before it counts"),
				},
			},
		},
	}
}

func amountAttribute(description string) schema.Attribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{amount{}}}
}

func waitAttribute(description string) schema.Attribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{duration{0, maxWait}}}
}

func minHealthyAttribute(description string) schema.Attribute {
	return waitAttribute(description + ", such as `10s`. Default `0s` with a health check, `2s` without.")
}

type strategyModel struct {
	Rolling   *rollingModel   `tfsdk:"rolling"`
	Canary    *canaryModel    `tfsdk:"canary"`
	BlueGreen *blueGreenModel `tfsdk:"blue_green"`
	AllAtOnce *allAtOnceModel `tfsdk:"all_at_once"`
}

type rollingModel struct {
	MaxParallel    types.String `tfsdk:"max_parallel"`
	MaxFailures    types.Int64  `tfsdk:"max_failures"`
	MinHealthyTime types.String `tfsdk:"min_healthy_time"`
	Pause          types.String `tfsdk:"pause"`
	Order          types.List   `tfsdk:"order"`
}

type blueGreenModel struct {
	MinHealthyTime types.String `tfsdk:"min_healthy_time"`
	KeepOld        types.String `tfsdk:"keep_old"`
}

type allAtOnceModel struct {
	MinHealthyTime types.String `tfsdk:"min_healthy_time"`
}

// strategy reads the block; none is all null.
func (m deploymentModel) strategy(ctx context.Context, d Diagnostics) strategyModel {
	return readBlock[strategyModel](ctx, m.Strategy, d)
}

// translate gives the engine's strategy. minHealthy holds where none is set.
func (s strategyModel) translate(ctx context.Context, minHealthy time.Duration, d Diagnostics) rollout.Strategy {
	switch {
	case s.Canary != nil:
		return s.Canary.translate(ctx, minHealthy, d)
	case s.BlueGreen != nil:
		return rollout.BlueGreen{
			MinHealthyTime: durationOr(s.BlueGreen.MinHealthyTime, minHealthy),
			KeepOld:        durationOr(s.BlueGreen.KeepOld, 0),
		}
	case s.AllAtOnce != nil:
		return rollout.AllAtOnce{MinHealthyTime: durationOr(s.AllAtOnce.MinHealthyTime, minHealthy)}
	case s.Rolling != nil:
		return rollout.Rolling{
			MaxParallel:    amountOr(s.Rolling.MaxParallel, rollout.Count(1)),
			MaxFailures:    int(s.Rolling.MaxFailures.ValueInt64()),
			MinHealthyTime: durationOr(s.Rolling.MinHealthyTime, minHealthy),
			Pause:          durationOr(s.Rolling.Pause, 0),
			Order:          stringList(s.Rolling.Order),
		}
	}
	return rollout.Rolling{MaxParallel: rollout.Count(1), MinHealthyTime: minHealthy}
}

// checkStrategy finds what no single attribute of the strategy can tell.
func (m deploymentModel) checkStrategy(ctx context.Context, d Diagnostics) {
	if m.Strategy.IsNull() || m.Strategy.IsUnknown() {
		return
	}
	at := path.Root("strategy")
	switch given, unknown := count(pick(m.Strategy, strategies...)); {
	case len(given) == 0 && !unknown:
		d.Invalid(at, "No strategy", "Add one of the blocks "+enumerate(strategies)+", such as rolling {}, or leave the block strategy out.")
	case len(given) > 1:
		d.Invalid(at.AtName(given[1]), "More than one strategy", "A deployment has one strategy: keep one of the blocks "+enumerate(given)+".")
	}
	if canary := m.strategy(ctx, d).Canary; canary != nil {
		canary.check(ctx, at.AtName("canary"), m.analysisNames(ctx, d), d)
	}
}

// amountOr reads an amount that a validator has passed.
func amountOr(s types.String, fallback rollout.Amount) rollout.Amount {
	if s.IsNull() || s.IsUnknown() {
		return fallback
	}
	a, err := rollout.ParseAmount(s.ValueString())
	if err != nil {
		return fallback
	}
	return a
}

// amount is a number of instances or a share of them.
type amount struct{}

func (amount) Description(context.Context) string {
	return `a number of instances, such as 2, or a share of all, such as "25%"`
}
func (v amount) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v amount) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a number of instances", func(s string) string {
		if _, err := rollout.ParseAmount(s); err != nil {
			return quote(s) + " is not possible here: write " + v.Description(ctx) + "."
		}
		return ""
	})
}
