// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

var _ datasource.DataSourceWithConfigure = (*releaseDataSource)(nil)

// NewReleaseDataSource makes the data source delivery_release, which looks a
// release up in the store.
func NewReleaseDataSource() datasource.DataSource { return &releaseDataSource{} }

type releaseDataSource struct{ data *Data }

type releaseDataModel struct {
	Pipeline  types.String `tfsdk:"pipeline"`
	Version   types.String `tfsdk:"version"`
	ID        types.String `tfsdk:"id"`
	Commit    types.String `tfsdk:"commit"`
	Ref       types.String `tfsdk:"ref"`
	Digest    types.String `tfsdk:"digest"`
	Size      types.Int64  `tfsdk:"size"`
	Checks    types.Map    `tfsdk:"checks"`
	CreatedAt types.String `tfsdk:"created_at"`
}

func (*releaseDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_release"
}

func (*releaseDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A release that the store holds, made by this configuration or another one: by its version, or the newest.",
		Attributes: map[string]schema.Attribute{
			"pipeline": schema.StringAttribute{
				MarkdownDescription: "The name of the pipeline.",
				Required:            true,
				Validators:          []validator.String{pipelineName{"a pipeline"}},
			},
			"version": schema.StringAttribute{
				MarkdownDescription: "The release's version. Without it, the highest is taken.",
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{version{}},
			},
			"id":     schema.StringAttribute{Computed: true, MarkdownDescription: aboutReleaseID},
			"commit": schema.StringAttribute{Computed: true, MarkdownDescription: aboutCommit},
			"ref":    schema.StringAttribute{Computed: true, MarkdownDescription: "The branch, tag or commit that was asked for when it was made."},
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
	}
}

func (s *releaseDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	s.data = dataFrom(req.ProviderData, Diagnostics{Diagnostics: &resp.Diagnostics})
}

func (s *releaseDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m releaseDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := Diagnostics{Diagnostics: &resp.Diagnostics, Redactor: s.data.Redactor}
	if !s.data.storeKnown(d, "no release can be looked up") {
		return
	}
	release, evidence, err := findRelease(ctx, s.data, m.Pipeline.ValueString(), m.Version.ValueString())
	switch {
	case errors.Is(err, store.ErrNotFound):
		at := path.Root("pipeline")
		if !m.Version.IsNull() {
			at = path.Root("version")
		}
		d.Invalid(at, "There is no such release", missingRelease(ctx, s.data, m.Pipeline.ValueString(), m.Version.ValueString()))
		return
	case err != nil:
		d.Error(path.Root("pipeline"), "The release cannot be read from the store", err)
		return
	}
	m.ID, m.Version = types.StringValue(release.ID()), types.StringValue(release.Version)
	m.Commit, m.Ref = orNull(release.Commit), orNull(release.Ref)
	m.Digest, m.Size = types.StringValue(release.Digest), types.Int64Value(release.Artifact.Size)
	m.Checks, m.CreatedAt = checksValue(evidence.Checks), timeValue(evidence.CreatedAt)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// findRelease reads a release, the newest without a version, and its evidence.
func findRelease(ctx context.Context, data *Data, pipeline, version string) (store.Release, store.Evidence, error) {
	st, err := data.Store(ctx)
	if err != nil {
		return store.Release{}, store.Evidence{}, err
	}
	var release store.Release
	if version == "" {
		release, err = st.Newest(ctx, pipeline)
	} else {
		release, err = st.Get(ctx, pipeline, version)
	}
	if err != nil {
		return store.Release{}, store.Evidence{}, err
	}
	evidence, err := st.Evidence(ctx, release)
	if errors.Is(err, store.ErrNotFound) {
		err = nil // somebody deleted it; the release is there all the same
	}
	return release, evidence, err
}

// missingRelease says what there is instead of the release that was asked for.
func missingRelease(ctx context.Context, data *Data, pipeline, version string) string {
	const shown = 10
	var versions []string
	if st, err := data.Store(ctx); err == nil {
		versions, _ = st.Versions(ctx, pipeline)
	}
	if len(versions) == 0 {
		return fmt.Sprintf("The store %s has no release of the pipeline %q. Check the pipeline's name and the provider's store, or make a release with a delivery_release resource.",
			data.StoreLocation, pipeline)
	}
	list := strings.Join(versions[:min(shown, len(versions))], ", ")
	if more := len(versions) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("The store %s has no release %s of the pipeline %q. It has %s.", data.StoreLocation, version, pipeline, list)
}
