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

func strategyBlock() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "In which order instances are switched. Default: `rolling`, one at a time.",
		Blocks: map[string]schema.Block{
			"rolling": schema.SingleNestedBlock{
				MarkdownDescription: "Some instances at a time; the next batch begins when the last one is healthy.",
				Attributes: map[string]schema.Attribute{
					"max_parallel": schema.Int64Attribute{
						Optional:            true,
						MarkdownDescription: "How many instances are switched at once. Default 1.",
						Validators:          []validator.Int64{int64validator.Between(1, 1000)},
					},
					"min_healthy_time": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "How long an instance must stay healthy before it counts, such as `10s`. Default `0s` with a health check, `2s` without.",
						Validators:          []validator.String{duration{0, maxWait}},
					},
				},
			},
		},
	}
}

func healthCheckBlock() schema.Block {
	port := schema.Int64Attribute{
		Optional:            true,
		MarkdownDescription: "Port. Required.",
		Validators:          []validator.Int64{int64validator.Between(1, 65535)},
	}
	host := schema.StringAttribute{Optional: true, MarkdownDescription: "Address as the instance itself sees it. Default `127.0.0.1`."}
	return schema.SingleNestedBlock{
		MarkdownDescription: "When an instance counts as healthy: at most one of `http`, `tcp` and `command`. Without any, its process must stay up for `min_healthy_time`. Changing it touches no instance.",
		Attributes: map[string]schema.Attribute{
			"interval": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Time between two probes. Default `1s`; at first it probes faster, so that a fast application is not waited for.",
				Validators:          []validator.String{duration{minInterval, maxWait}},
			},
			"timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long one probe may take. Default `5s`.",
				Validators:          []validator.String{duration{minInterval, maxWait}},
			},
			"healthy_deadline": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long an instance may take to become healthy. Default `2m`.",
				Validators:          []validator.String{duration{minInterval, maxWait}},
			},
		},
		Blocks: map[string]schema.Block{
			"http": schema.SingleNestedBlock{
				MarkdownDescription: "A GET request, made where the instance is. A status of 200 to 399 passes.",
				Attributes: map[string]schema.Attribute{
					"scheme":  schema.StringAttribute{Optional: true, MarkdownDescription: "`http` or `https`. Default `http`.", Validators: []validator.String{stringvalidator.OneOf("http", "https")}},
					"host":    host,
					"port":    port,
					"path":    schema.StringAttribute{Optional: true, MarkdownDescription: "Path. Default `/`."},
					"headers": schema.MapAttribute{Optional: true, Sensitive: true, ElementType: types.StringType, MarkdownDescription: "Request headers. `Host` is honoured. They are kept in the state, so put no secrets here."},
				},
			},
			"tcp": schema.SingleNestedBlock{
				MarkdownDescription: "A TCP connection, made where the instance is.",
				Attributes:          map[string]schema.Attribute{"host": host, "port": port},
			},
			"command": schema.SingleNestedBlock{
				MarkdownDescription: "A shell command, run in the release's directory with its environment; status 0 passes.",
				Attributes:          map[string]schema.Attribute{"command": schema.StringAttribute{Optional: true, MarkdownDescription: "The command. Required."}},
			},
		},
	}
}

func revertBlock() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "What happens when an update fails.",
		Attributes: map[string]schema.Attribute{
			"automatic": schema.BoolAttribute{Optional: true, MarkdownDescription: "Put the last good revision back on every switched instance, in reverse order. Default `true`."},
			"on_cancel": schema.BoolAttribute{Optional: true, MarkdownDescription: "Do so too when the apply is cancelled. Default `false`: it stops where it is."},
		},
	}
}
