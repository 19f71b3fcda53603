// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
)

func tasksBlock() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Commands that run once in each rollout, such as a database migration: on one instance, in the directory of the new release with its environment. A rollout that was interrupted and goes on runs them again, so they should do nothing when they have nothing to do. Changing them touches no instance.",
		Blocks: map[string]schema.Block{
			"before": commandBlock("Runs when the release is prepared everywhere and switched nowhere. If it fails, no instance is switched."),
			"after":  commandBlock("Runs when every instance is healthy. If it fails, the rollout has failed."),
		},
	}
}

func hooksBlock() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Commands that run on each instance around its switch, for example to take it out of a load balancer and put it back. Changing them touches no instance.",
		Blocks: map[string]schema.Block{
			"drain":   commandBlock("Runs before the instance is switched, in the directory of the release that serves, with its environment. If it fails, the instance has failed. A new instance is not drained."),
			"undrain": commandBlock("Runs when the instance is healthy again, in the directory of the new release, with its environment. If it fails, the instance has failed."),
		},
	}
}

func commandBlock(description string) schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"command": schema.StringAttribute{Optional: true, MarkdownDescription: "The shell command. Required.", Validators: []validator.String{notEmpty{"a command"}}},
			"timeout": schema.StringAttribute{Optional: true, MarkdownDescription: "How long it may take. Default `10m`.", Validators: []validator.String{duration{time.Second, maxWait}}},
		},
	}
}

type tasksModel struct {
	Before *commandModel `tfsdk:"before"`
	After  *commandModel `tfsdk:"after"`
}

type hooksModel struct {
	Drain   *commandModel `tfsdk:"drain"`
	Undrain *commandModel `tfsdk:"undrain"`
}

type commandModel struct {
	Command types.String `tfsdk:"command"`
	Timeout types.String `tfsdk:"timeout"`
}

func (m deploymentModel) tasks(ctx context.Context, d Diagnostics) rollout.Tasks {
	t := readBlock[tasksModel](ctx, m.Tasks, d)
	return rollout.Tasks{Before: t.Before.translate(), After: t.After.translate()}
}

func (m deploymentModel) hooks(ctx context.Context, d Diagnostics) rollout.Hooks {
	h := readBlock[hooksModel](ctx, m.Hooks, d)
	return rollout.Hooks{Drain: h.Drain.translate(), Undrain: h.Undrain.translate()}
}

func (c *commandModel) translate() rollout.Command {
	if c == nil {
		return rollout.Command{}
	}
	return rollout.Command{Command: c.Command.ValueString(), Timeout: durationOr(c.Timeout, 0)}
}

// checkCommands finds commands that say nothing.
func (m deploymentModel) checkCommands(d Diagnostics) {
	for _, name := range []string{"before", "after"} {
		require(nested(m.Tasks, name), "command", path.Root("tasks").AtName(name), d)
	}
	for _, name := range []string{"drain", "undrain"} {
		require(nested(m.Hooks, name), "command", path.Root("hooks").AtName(name), d)
	}
}
