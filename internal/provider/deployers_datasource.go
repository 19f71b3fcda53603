// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ datasource.DataSourceWithConfigure = (*deployersDataSource)(nil)

// NewDeployersDataSource makes the data source delivery_deployers, which tells
// which deployers there are.
func NewDeployersDataSource() datasource.DataSource { return &deployersDataSource{} }

type deployersDataSource struct{ data *Data }

type deployersModel struct {
	Deployers []deployerModel `tfsdk:"deployers"`
}

type deployerModel struct {
	Name          types.String   `tfsdk:"name"`
	Version       types.String   `tfsdk:"version"`
	Capabilities  []types.String `tfsdk:"capabilities"`
	ArtifactKinds []types.String `tfsdk:"artifact_kinds"`
	Path          types.String   `tfsdk:"path"`
	Source        types.String   `tfsdk:"source"`
	Error         types.String   `tfsdk:"error"`
}

// Where a deployer comes from.
const (
	sourceBundled = "bundled"
	sourceCustom  = "custom"
)

func (*deployersDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deployers"
}

func (*deployersDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The deployers that can be used: those that come with the provider, and those of the provider's `plugin` blocks. " +
			"Each is started to be asked; one that cannot be used says why.",
		Attributes: map[string]schema.Attribute{
			"deployers": schema.ListNestedAttribute{
				MarkdownDescription: "The deployers, by name.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":    schema.StringAttribute{Computed: true, MarkdownDescription: "The name that deployments use it by."},
					"version": schema.StringAttribute{Computed: true, MarkdownDescription: "The program's version."},
					"capabilities": schema.ListAttribute{
						Computed:            true,
						ElementType:         types.StringType,
						MarkdownDescription: "What it can do besides the least that every deployer does.",
					},
					"artifact_kinds": schema.ListAttribute{
						Computed:            true,
						ElementType:         types.StringType,
						MarkdownDescription: "Media types of the artifacts that it can deploy.",
					},
					"path":   schema.StringAttribute{Computed: true, MarkdownDescription: "The program."},
					"source": schema.StringAttribute{Computed: true, MarkdownDescription: "`bundled` with the provider, or `custom`."},
					"error":  schema.StringAttribute{Computed: true, MarkdownDescription: "Why it cannot be used; null when it can."},
				}},
			},
		},
	}
}

func (s *deployersDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	s.data = dataFrom(req.ProviderData, Diagnostics{Diagnostics: &resp.Diagnostics})
}

func (s *deployersDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	d := Diagnostics{Diagnostics: &resp.Diagnostics, Redactor: s.data.Redactor}
	if s.data.Unknown.Plugins || s.data.Unknown.SSH {
		d.Invalid(path.Root("deployers"), "The deployers are not known yet",
			"The provider's plugin or ssh blocks depend on something that is made by this same apply. "+
				"Let the data source depend on it too (depends_on), so that it is read at apply.")
		return
	}
	m := deployersModel{Deployers: []deployerModel{}}
	for _, found := range s.data.Host().Found(ctx) {
		one := deployerModel{
			Name:          types.StringValue(found.Name),
			Version:       orNull(found.Version),
			Capabilities:  sortedStrings(found.Capabilities),
			ArtifactKinds: sortedStrings(found.Artifacts),
			Path:          types.StringValue(found.Path),
			Source:        types.StringValue(sourceBundled),
			Error:         types.StringNull(),
		}
		if found.Custom {
			one.Source = types.StringValue(sourceCustom)
		}
		if found.Err != nil {
			one.Error = types.StringValue(s.data.Redactor.Redact(Explain(found.Err).text()))
		}
		m.Deployers = append(m.Deployers, one)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

func sortedStrings[S ~string](all []S) []types.String {
	out := make([]types.String, 0, len(all))
	for _, s := range slices.Sorted(slices.Values(all)) {
		out = append(out, types.StringValue(string(s)))
	}
	return out
}
