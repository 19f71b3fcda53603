// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
)

func canaryBlock(order schema.Attribute) schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Bring the new revision to a part of the users first, step by step, and to the rest when every step has held.",
		Attributes: map[string]schema.Attribute{
			"max_parallel":     amountAttribute("How many instances are switched at once after the last step: a number or a share of all. Default `1`."),
			"min_healthy_time": minHealthyAttribute("How long an instance must stay healthy before it counts"),
			"order":            order,
		},
		Blocks: map[string]schema.Block{
			"step": schema.ListNestedBlock{
				MarkdownDescription: "One widening; at least one. Each goes further than the one before, and all of them set `instances` or all of them set `weight`.",
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"instances": amountAttribute("How many instances run the new revision after this step: a number, such as `1`, or a share of all, such as `\"10%\"`. Works with every deployer."),
					"weight": schema.Int64Attribute{
						Optional:            true,
						MarkdownDescription: "Share of the traffic that the new revision gets after this step, in percent. For deployers that can run two revisions side by side and share traffic between them.",
						Validators:          []validator.Int64{int64validator.Between(1, 100)},
					},
					"pause": waitAttribute("How long to wait after the step, before its analyses. Default `0s`."),
					"analysis": schema.ListAttribute{
						Optional:            true,
						ElementType:         types.StringType,
						MarkdownDescription: "Names of the `analysis` blocks that must hold before the next step. Default: all; `[]` is none.",
						Validators:          []validator.List{distinct{"an analysis"}},
					},
				}},
			},
		},
	}
}

type canaryModel struct {
	MaxParallel    types.String `tfsdk:"max_parallel"`
	MinHealthyTime types.String `tfsdk:"min_healthy_time"`
	Order          types.List   `tfsdk:"order"`
	Step           types.List   `tfsdk:"step"`
}

type canaryStepModel struct {
	Instances types.String `tfsdk:"instances"`
	Weight    types.Int64  `tfsdk:"weight"`
	Pause     types.String `tfsdk:"pause"`
	Analysis  types.List   `tfsdk:"analysis"`
}

func (c canaryModel) steps(ctx context.Context, d Diagnostics) []canaryStepModel {
	var steps []canaryStepModel
	if !c.Step.IsUnknown() {
		d.Append(c.Step.ElementsAs(ctx, &steps, true)...)
	}
	return steps
}

func (c canaryModel) translate(ctx context.Context, minHealthy time.Duration, d Diagnostics) rollout.Canary {
	canary := rollout.Canary{
		MaxParallel:    amountOr(c.MaxParallel, rollout.Count(1)),
		MinHealthyTime: durationOr(c.MinHealthyTime, minHealthy),
		Order:          stringList(c.Order),
	}
	for _, s := range c.steps(ctx, d) {
		step := rollout.CanaryStep{
			Instances: amountOr(s.Instances, rollout.Amount{}),
			Weight:    int(s.Weight.ValueInt64()),
			Pause:     durationOr(s.Pause, 0),
		}
		if !s.Analysis.IsNull() {
			step.Analyses = append([]string{}, stringList(s.Analysis)...)
		}
		canary.Steps = append(canary.Steps, step)
	}
	return canary
}

// check looks at the steps together: all of one kind, each further than the
// one before, and with analyses that exist.
func (c canaryModel) check(ctx context.Context, at path.Path, analyses nameSet, d Diagnostics) {
	if c.Step.IsUnknown() {
		return
	}
	steps := c.steps(ctx, d)
	if len(steps) == 0 {
		d.Invalid(at, "No step", "Add at least one block step, such as step { instances = 1 }.")
	}
	var kind string
	reached := map[string]int{} // by unit, since 2 and 10% cannot be compared here
	for n, s := range steps {
		at := at.AtName("step").AtListIndex(n)
		analyses.check(s.Analysis, at.AtName("analysis"), d)
		if s.Instances.IsUnknown() || s.Weight.IsUnknown() {
			continue
		}
		is := "instances"
		switch {
		case s.Instances.IsNull() && s.Weight.IsNull():
			d.Invalid(at, "A step to nowhere", `Set instances, such as 1 or "10%", or weight, the share of traffic in percent.`)
			continue
		case !s.Instances.IsNull() && !s.Weight.IsNull():
			d.Invalid(at.AtName("weight"), "Two measures in one step", "A step is measured in instances or in weight: keep one of them.")
			continue
		case s.Instances.IsNull():
			is = "weight"
		}
		if kind == "" {
			kind = is
		}
		if is != kind {
			d.Invalid(at.AtName(is), "Steps of two kinds", fmt.Sprintf("The steps before this one set %s: set it here too, or %s in all of them.", kind, is))
			continue
		}
		unit, goes, text := "", int(s.Weight.ValueInt64()), fmt.Sprint(s.Weight.ValueInt64())
		if is == "instances" {
			text = s.Instances.ValueString()
			var ok bool
			if unit, goes, ok = measure(text); !ok {
				continue // its validator says so
			}
		}
		if before, ok := reached[unit]; ok && goes <= before {
			d.Invalid(at.AtName(is), "A step that goes no further", fmt.Sprintf("%s is not more than the %d%s of a step before: each step must go further.", text, before, unit))
			continue
		}
		reached[unit] = goes
	}
}

// measure splits an amount into its unit, "" or "%", and its number.
func measure(text string) (unit string, n int, ok bool) {
	a, err := rollout.ParseAmount(text)
	if err != nil {
		return "", 0, false
	}
	number, relative := strings.CutSuffix(a.String(), "%")
	if relative {
		unit = "%"
	}
	n, err = strconv.Atoi(number)
	return unit, n, err == nil
}

// nameSet are the names of blocks, as far as they are known.
type nameSet struct {
	what    string // such as "an analysis"
	names   []string
	unknown bool // there may be others
}

// check refuses names in a list that nothing has.
func (s nameSet) check(in types.List, at path.Path, d Diagnostics) {
	for n, element := range in.Elements() {
		if name, ok := element.(types.String); ok && name.ValueString() != "" {
			s.checkName(name.ValueString(), at.AtListIndex(n), d)
		}
	}
}

func (s nameSet) checkName(name string, at path.Path, d Diagnostics) {
	if s.unknown || slices.Contains(s.names, name) {
		return
	}
	known := "there is none"
	if len(s.names) > 0 {
		known = "there is " + enumerate(s.names)
	}
	d.Invalid(at, "A name that nothing has", fmt.Sprintf("%s is not the name of %s: %s.", quote(name), s.what, known))
}
