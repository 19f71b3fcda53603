// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// releaseTimeout is how long making a release may take when nothing is said.
const releaseTimeout = 2 * time.Hour

// What releases say about commits and checks, in resources and data sources.
var (
	commitType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"sha": types.StringType, "author": types.StringType, "subject": types.StringType,
	}}
	checkType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"status": types.StringType, "tests": types.Int64Type, "failures": types.Int64Type,
		"skipped": types.Int64Type, "duration": types.StringType,
	}}
)

// Descriptions that resource and data source share.
const (
	aboutReleaseID = "`<pipeline>:<version>`."
	aboutVersion   = "The release's version. Unless it is given: `X.Y.Z` on a tag `vX.Y.Z`; otherwise the next patch version with the distance " +
		"from the last tag, the commit and the pipeline's definition, such as `1.4.2-3.g0123456789ab.p01234567`; for a directory `0.0.0-dir.`, its content and the definition."
	aboutCommit    = "The commit that was released; null without a Git repository."
	aboutDigest    = "Digest of the release's manifest in the store."
	aboutSize      = "Size of the artifact, in bytes."
	aboutChecks    = "How each stage ended, by name."
	aboutCreatedAt = "When the release was made, in RFC 3339."
	aboutStatus    = "`passed`, `failed`, `skipped` or `allowed_failure`."
	aboutTests     = "Number of tests in its reports, with failed and skipped ones."
	aboutFailures  = "Number of failed tests."
	aboutSkipped   = "Number of skipped tests."
	aboutDuration  = "How long it took, such as `12.5s`."
	aboutSHA       = "The commit."
	aboutAuthor    = "Who wrote it."
	aboutSubject   = "The first line of its message."
)

func releaseSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A release: one commit (or directory), built and tested by a pipeline, and kept in the store with its evidence. " +
			"The plan shows the commit that it stands for, its version and what is new; a new commit is an update in place, which makes one more " +
			"release. Releases never change, and destroying the resource only forgets them.\n\n" +
			"A saved plan ships the commit that it showed, whatever happened to the branch since. There is one exception, when a plan creates the " +
			"resource or changes `ref` or the pipeline's source: if the branch moves before such a plan is applied, Terraform refuses and nothing is " +
			"shipped. With `-refresh=false` a plan shows no new commits.",
		Attributes: map[string]schema.Attribute{
			"pipeline": schema.StringAttribute{
				MarkdownDescription: "The pipeline by value: `json` of a `delivery_pipeline`.",
				Required:            true,
				Validators:          []validator.String{pipelineJSON{}},
			},
			"ref": schema.StringAttribute{
				MarkdownDescription: "A branch, tag or commit. Required for a Git repository, and not possible without one.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"version": schema.StringAttribute{
				MarkdownDescription: aboutVersion,
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{version{}},
			},
			"id":     schema.StringAttribute{Computed: true, MarkdownDescription: aboutReleaseID + " Known at plan."},
			"commit": schema.StringAttribute{Computed: true, MarkdownDescription: aboutCommit + " Known at plan."},
			"commits": schema.ListNestedAttribute{
				MarkdownDescription: "What is new since the release before, newest first; known at plan.",
				Computed:            true,
				NestedObject:        commitObject(),
			},
			"digest": schema.StringAttribute{Computed: true, MarkdownDescription: aboutDigest},
			"size":   schema.Int64Attribute{Computed: true, MarkdownDescription: aboutSize},
			"checks": schema.MapNestedAttribute{
				MarkdownDescription: aboutChecks,
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"status":   schema.StringAttribute{Computed: true, MarkdownDescription: aboutStatus},
					"tests":    schema.Int64Attribute{Computed: true, MarkdownDescription: aboutTests},
					"failures": schema.Int64Attribute{Computed: true, MarkdownDescription: aboutFailures},
					"skipped":  schema.Int64Attribute{Computed: true, MarkdownDescription: aboutSkipped},
					"duration": schema.StringAttribute{Computed: true, MarkdownDescription: aboutDuration},
				}},
			},
			"created_at": schema.StringAttribute{Computed: true, MarkdownDescription: aboutCreatedAt},
		},
		Blocks: map[string]schema.Block{
			"timeouts": timeoutsBlock(map[string]string{
				"create": "How long making the first release may take in all. Defaults to `2h`.",
				"update": "How long making another release may take in all. Defaults to `2h`.",
			}),
		},
	}
}

// commitObject is one commit of a list.
func commitObject() schema.NestedAttributeObject {
	return schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
		"sha":     schema.StringAttribute{Computed: true, MarkdownDescription: aboutSHA},
		"author":  schema.StringAttribute{Computed: true, MarkdownDescription: aboutAuthor},
		"subject": schema.StringAttribute{Computed: true, MarkdownDescription: aboutSubject},
	}}
}
