// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// longestStage bounds the timeout of a stage.
const longestStage = 24 * time.Hour

func pipelineSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "How an application is built and tested: where its source is, the stages that have to succeed, and what " +
			"goes into its artifact. A pipeline is a value, like a policy document: it creates nothing anywhere, and everything " +
			"about it is known at plan. Releases take it by its `json`. Importing one is not supported: there is nothing to import.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "The pipeline's name, the first half of the ids of its releases: lower-case letters and digits, with single dashes between them, at most 63.",
				Required:            true,
				Validators:          []validator.String{pipelineName{"a pipeline"}},
			},
			"id": schema.StringAttribute{
				MarkdownDescription: "The pipeline's name.",
				Computed:            true,
			},
			"json": schema.StringAttribute{
				MarkdownDescription: "The whole definition as normalized JSON, for `delivery_release`. The order of blocks makes no difference. " +
					"It holds names of secrets and no secrets.",
				Computed: true,
			},
		},
		Blocks: map[string]schema.Block{
			"source": schema.SingleNestedBlock{
				MarkdownDescription: "Where the source comes from: exactly one of `git` and `directory`. Only an `artifact` with a `url` needs none.",
				Blocks: map[string]schema.Block{
					"git": schema.SingleNestedBlock{
						MarkdownDescription: "A Git repository. Exactly the commit of a release is fetched, without its history.",
						Attributes: map[string]schema.Attribute{
							"url": schema.StringAttribute{
								MarkdownDescription: "The repository, as `git clone` takes it. Credentials do not belong here but in the provider's `git` block.",
								Optional:            true,
								Validators:          []validator.String{gitURL{}},
							},
							"path": schema.StringAttribute{
								MarkdownDescription: "A directory of the repository to take instead of all of it.",
								Optional:            true,
							},
							"submodules": schema.BoolAttribute{
								MarkdownDescription: "Also fetch submodules. Without it a repository that has some is refused. Defaults to `false`.",
								Optional:            true,
							},
						},
					},
					"directory": schema.SingleNestedBlock{
						MarkdownDescription: "A directory where Terraform runs. The version of its releases follows from its content. " +
							"`.git`, `.terraform`, `.delivery`, state and plan files are never included.",
						Attributes: map[string]schema.Attribute{
							"path": schema.StringAttribute{
								MarkdownDescription: "The directory, such as `\"${path.module}/app\"`.",
								Optional:            true,
							},
						},
					},
				},
			},
			"stage": schema.ListNestedBlock{
				MarkdownDescription: "One step of the pipeline. Stages run in parallel, in clean checkouts of their own, unless they need each other. " +
					"Their order in the configuration means nothing. If one fails there is no release.",
				NestedObject: schema.NestedBlockObject{
					Attributes: stageAttributes(),
					Blocks: map[string]schema.Block{
						"reports": schema.SingleNestedBlock{
							MarkdownDescription: "Reports that the stage writes. They are kept with the release.",
							Attributes: map[string]schema.Attribute{
								"junit": schema.ListAttribute{
									MarkdownDescription: "Test reports in JUnit's XML, as glob patterns. A failed test fails the stage, whatever its commands return.",
									ElementType:         types.StringType,
									Optional:            true,
								},
							},
						},
					},
				},
			},
			"artifact": schema.SingleNestedBlock{
				MarkdownDescription: "What of the source, and of what stages made, goes into the release. Without this block it is everything.",
				Attributes: map[string]schema.Attribute{
					"include": schema.ListAttribute{
						MarkdownDescription: "Files to include, as glob patterns; `**` is any number of directories. Defaults to `[\"**\"]`.",
						ElementType:         types.StringType,
						Optional:            true,
					},
					"exclude": schema.ListAttribute{
						MarkdownDescription: "Files to leave out of those, as glob patterns.",
						ElementType:         types.StringType,
						Optional:            true,
					},
					"url": schema.StringAttribute{
						MarkdownDescription: "An archive that was built elsewhere, instead of `source` and stages: a tar archive, plain or compressed " +
							"by gzip or zstd, at an `https` or `http` URL, and no other such as `file`, without credentials, so not one that was signed. It is taken whole.",
						Optional: true,
					},
					"sha256": schema.StringAttribute{
						MarkdownDescription: "The SHA-256 of the archive at `url`, 64 hexadecimal digits. Required with it.",
						Optional:            true,
					},
				},
			},
		},
	}
}

func stageAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": schema.StringAttribute{
			MarkdownDescription: "The stage's name, by which others need it: lower-case letters and digits, with single `-` or `_` between them.",
			Required:            true,
		},
		"needs": schema.ListAttribute{
			MarkdownDescription: "Names of stages that have to succeed before. Their `artifacts` are there when it runs.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"commands": schema.ListAttribute{
			MarkdownDescription: "What to run, one command after the other, each by `sh`, in a checkout of the stage's own. The first that fails ends the stage.",
			ElementType:         types.StringType,
			Required:            true,
		},
		"timeout": schema.StringAttribute{
			MarkdownDescription: "How long the stage may take, for each try, such as `\"10m\"`. Defaults to `\"1h\"`.",
			Optional:            true,
			Validators:          []validator.String{duration{least: time.Second, most: longestStage}},
		},
		"retries": schema.Int64Attribute{
			MarkdownDescription: "How often a failed stage is tried again, from a clean checkout. Defaults to `0`.",
			Optional:            true,
			Validators:          []validator.Int64{int64validator.Between(0, 10)},
		},
		"allow_failure": schema.BoolAttribute{
			MarkdownDescription: "Make the release although this stage fails. Its failure stands in `checks` of the release. Defaults to `false`.",
			Optional:            true,
		},
		"environment_variables": schema.MapAttribute{
			MarkdownDescription: "Environment variables of the commands. For secrets use `secrets`.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"secrets": schema.ListAttribute{
			MarkdownDescription: "Names of secrets of the provider block that the commands get as environment variables. They are redacted from what the stage prints.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"artifacts": schema.ListAttribute{
			MarkdownDescription: "Files that the stage makes for the stages that need it and for the release, as glob patterns.",
			ElementType:         types.StringType,
			Optional:            true,
		},
	}
}
