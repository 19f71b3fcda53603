// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// bundledDeployers have typed blocks of their own.
var bundledDeployers = []string{"ssh", "local"}

func (r *deploymentResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	blocks := map[string]schema.Block{
		"plugin":       customDeployerBlock(),
		"strategy":     strategyBlock(),
		"health_check": healthCheckBlock(),
		"revert":       revertBlock(),
		"tasks":        tasksBlock(),
		"hooks":        hooksBlock(),
		"analysis":     analysisBlock(),
		"timeouts": timeoutsBlock(map[string]string{
			"create": "How long a first deployment may take in all. Default `30m`.",
			"update": "How long an update may take in all, a revert not included. Default `30m`.",
			"delete": "How long the removal may take. Default `10m`.",
		}),
	}
	for _, name := range bundledDeployers {
		blocks[name] = targetBlock(name)
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A release running on a target. A plan shows for every instance which release it runs and which one it will run; " +
			"an apply prepares the release everywhere, switches the instances batch by batch, verifies each, and puts the last good revision back when one fails. " +
			"After a failed update the state says what really runs.\n\n" +
			"Exactly one of the blocks `ssh`, `local` and `plugin` says where it runs.\n\n" +
			"`create_before_destroy` is not supported: at the same place the new deployment is refused while the old one is there.",
		Attributes: deploymentAttributes(),
		Blocks:     blocks,
	}
}

func deploymentAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "`<environment>/<name>`.",
		},
		"name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Name of the deployment: lower-case letters, digits and dashes, at most 31. Changing it replaces the deployment, which means downtime.",
			Validators:          []validator.String{name{"a deployment"}},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"environment": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Environment that it belongs to, such as `production`: formed like `name`. Changing it replaces the deployment, which means downtime.",
			Validators:          []validator.String{name{"an environment"}},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"release_id": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "The release to run, `<pipeline>:<version>`: the attribute `id` of a `delivery_release`.",
			Validators:          []validator.String{releaseID{}},
		},
		"environment_variables": schema.MapAttribute{
			Optional:            true,
			ElementType:         types.StringType,
			MarkdownDescription: "Environment of the release when it runs. A change is a new revision, rolled out like a release.",
			Validators:          []validator.Map{mapvalidator.KeysAre(variableName{})},
		},
		"secrets_wo": schema.MapAttribute{
			Optional:            true,
			WriteOnly:           true,
			Sensitive:           true,
			ElementType:         types.StringType,
			MarkdownDescription: "Secret environment variables. Write-only: they are never in state or plan. Change `secrets_wo_version` with them.",
			Validators: []validator.Map{
				mapvalidator.KeysAre(variableName{}),
				mapvalidator.AlsoRequires(path.MatchRoot("secrets_wo_version")),
			},
		},
		"secrets_wo_version": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "Version of `secrets_wo`: a new number makes a new revision with the new secrets.",
			Validators:          []validator.Int64{int64validator.AtLeast(1)},
		},
		"on_destroy": schema.StringAttribute{
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(onDestroyRemove),
			MarkdownDescription: "What destroying the resource does: `remove` takes the deployment off its instances, `retain` leaves it running and forgets it. Default `remove`.",
			Validators:          []validator.String{stringvalidator.OneOf(onDestroyRemove, onDestroyRetain)},
		},
		"lock_timeout": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "How long to wait for another apply that works on this deployment; `0s` is not at all. Default `10s`.",
			Validators:          []validator.String{duration{0, maxWait}},
		},
		"evidence": schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Whether the story of a rollout is written to the store too, beside the ledger on the target: `best_effort` does so if it may, and leaves the rest to a later run that may; " +
				"`required` makes sure that it may before anything is switched; `off` does not. Default `best_effort`.",
			Validators: []validator.String{stringvalidator.OneOf(evidenceModes...)},
		},
		"running_release_id": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "The release that runs on every instance; null when instances differ.",
		},
		"previous_release_id": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "The release that ran before the current one.",
		},
		"deployed_at": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "When the last apply that changed something succeeded, in RFC 3339.",
		},
		"instances": schema.MapNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What every instance runs, by name. Known at plan, so that a plan shows old and new.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"release":  schema.StringAttribute{Computed: true, MarkdownDescription: "Id of the release it runs; null when it runs none."},
				"revision": schema.StringAttribute{Computed: true, MarkdownDescription: "The revision it runs: release, configuration, variables and secrets version."},
				"health":   schema.StringAttribute{Computed: true, MarkdownDescription: "`healthy`, `stopped`, `failing`, `drifted`, `missing` or `unknown`, as last observed."},
				"address":  schema.StringAttribute{Computed: true, MarkdownDescription: "Where it is, as configured."},
			}},
		},
		"details": schema.MapNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What was observed on every instance, by name.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"digest":          schema.StringAttribute{Computed: true, MarkdownDescription: "Digest of the artifact that it runs."},
				"address":         schema.StringAttribute{Computed: true, MarkdownDescription: "Address that the platform assigned, if it did."},
				"since":           schema.StringAttribute{Computed: true, MarkdownDescription: "Since when it runs, in RFC 3339."},
				"observed_health": schema.StringAttribute{Computed: true, MarkdownDescription: "Health when it was last looked at."},
			}},
		},
		"commits": schema.ListNestedAttribute{
			Computed:            true,
			MarkdownDescription: "Commits that the last deployment brought, newest first, where the source could tell.",
			NestedObject:        commitObject(),
		},
	}
}

func customDeployerBlock() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Deploy with a custom deployer, which a `plugin` block of the provider names.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Name of the deployer, as in the provider's `plugin` block. Required.",
			},
			"config": schema.DynamicAttribute{
				Optional:            true,
				MarkdownDescription: "Target configuration, checked against the deployer's schema.",
			},
		},
	}
}
