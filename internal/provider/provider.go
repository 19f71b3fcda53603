// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package provider is Terraform's face of delivery: schemas, plans, state and
// diagnostics. It translates between Terraform's values and the packages
// below, and decides nothing about delivery itself.
package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Address is where the provider is found in a registry.
const Address = "registry.terraform.io/tfdelivery/delivery"

// DefaultStore is the store of a provider block without one, relative to the
// working directory.
const DefaultStore = ".delivery/store"

var (
	_ provider.Provider                   = (*deliveryProvider)(nil)
	_ provider.ProviderWithValidateConfig = (*deliveryProvider)(nil)
)

// New gives the provider's constructor. processes owns what it will start.
func New(version string, processes *Processes) func() provider.Provider {
	return func() provider.Provider {
		return &deliveryProvider{version: version, processes: processes}
	}
}

type deliveryProvider struct {
	version   string
	processes *Processes
}

func (p *deliveryProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "delivery"
	resp.Version = p.version
}

func (p *deliveryProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Builds releases of applications and deploys them, as part of the Terraform graph. " +
			"Every value of the provider block may be ephemeral; none is kept in state.",
		Attributes: map[string]schema.Attribute{
			"store": schema.StringAttribute{
				MarkdownDescription: "Where releases and their evidence are kept: an OCI registry with a path, such as " +
					"`registry.acme.io/shop`, or a directory, which holds an OCI image layout for each pipeline. " +
					"A directory begins with `.`, `/` or a drive letter. Defaults to `" + DefaultStore + "`.",
				Optional:   true,
				Validators: []validator.String{storeLocation{}},
			},
			"secrets": schema.MapAttribute{
				MarkdownDescription: "Secrets that stages of pipelines ask for by name. A stage gets those that it names, " +
					"as environment variables, and no others. Output and messages show `" + Redacted + "` or the like in their place; " +
					"a secret of fewer than 4 bytes is not hidden.",
				ElementType: types.StringType,
				Optional:    true,
				Sensitive:   true,
			},
		},
		Blocks: map[string]schema.Block{
			"ssh": connectionBlock("ssh", "How hosts are reached over SSH, for deployments with an `ssh` block. "+
				"Host keys are always checked."),
			"registry": schema.ListNestedBlock{
				MarkdownDescription: "A login to an OCI registry. Registries without one use Docker's credential helpers.",
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"host": schema.StringAttribute{
						MarkdownDescription: "The registry, with its port if it has one, such as `registry.acme.io` or `localhost:5000`.",
						Required:            true,
						Validators:          []validator.String{serverName{}},
					},
					"username": schema.StringAttribute{
						MarkdownDescription: "Who logs in.",
						Required:            true,
					},
					"password": schema.StringAttribute{
						MarkdownDescription: "The password or token.",
						Required:            true,
						Sensitive:           true,
					},
				}},
			},
			"git": schema.ListNestedBlock{
				MarkdownDescription: "Credentials for the Git repositories of one server: a `token`, or a `private_key` for URLs over SSH. " +
					"They are never written into URLs or command lines.",
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"host": schema.StringAttribute{
						MarkdownDescription: "The server, as it stands in the repository's URL, such as `git.acme.io`.",
						Required:            true,
						Validators:          []validator.String{serverName{}},
					},
					"username": schema.StringAttribute{
						MarkdownDescription: "The user that goes with the token. Most servers take any.",
						Optional:            true,
					},
					"token": schema.StringAttribute{
						MarkdownDescription: "A token or password, for URLs over HTTPS.",
						Optional:            true,
						Sensitive:           true,
					},
					"private_key": schema.StringAttribute{
						MarkdownDescription: "A private key without a passphrase, in PEM or OpenSSH form, for URLs over SSH.",
						Optional:            true,
						Sensitive:           true,
					},
					"known_hosts": schema.StringAttribute{
						MarkdownDescription: "The server's host keys, as lines of a known_hosts file. Defaults to the user's own known_hosts file.",
						Optional:            true,
					},
				}},
			},
			"plugin": schema.ListNestedBlock{
				MarkdownDescription: "A custom deployer: a program of your own, or of somebody else, that speaks the deployer protocol.",
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{
						MarkdownDescription: "The name that deployments use it by.",
						Required:            true,
						Validators:          []validator.String{deployerName{}},
					},
					"path": schema.StringAttribute{
						MarkdownDescription: "The program, relative to the working directory.",
						Required:            true,
					},
					"checksum": schema.StringAttribute{
						MarkdownDescription: "The program's SHA-256, as `sha256:` and 64 hexadecimal digits. Another program is refused.",
						Required:            true,
						Validators:          []validator.String{checksum{}},
					},
					"config_json": schema.StringAttribute{
						MarkdownDescription: "Its connection configuration, as JSON, checked against the schema that the deployer describes.",
						Optional:            true,
						Sensitive:           true,
						Validators:          []validator.String{jsonObject{}},
					},
				}},
			},
		},
	}
}

func (p *deliveryProvider) ValidateConfig(ctx context.Context, req provider.ValidateConfigRequest, resp *provider.ValidateConfigResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	m.validate(ctx, Diagnostics{Diagnostics: &resp.Diagnostics})
}

// Configure reads the provider block. It connects to nothing and starts nothing.
func (p *deliveryProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := Diagnostics{Diagnostics: &resp.Diagnostics}
	data := m.data(ctx, d)
	if resp.Diagnostics.HasError() {
		return
	}
	data.processes = p.processes
	resp.ResourceData = data
	resp.DataSourceData = data
}

func (p *deliveryProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		NewPipelineResource,
		NewReleaseResource,
		NewDeploymentResource,
	}
}

func (p *deliveryProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		NewReleaseDataSource,
		NewHistoryDataSource,
		NewDeployersDataSource,
	}
}

// dataFrom takes the provider's data in a resource's or data source's
// Configure; nil while Terraform only validates.
func dataFrom(providerData any, d Diagnostics) *Data {
	if providerData == nil {
		return nil
	}
	data, ok := providerData.(*Data)
	if !ok {
		d.Invalid(path.Empty(), "The provider is inconsistent", "Its data has an unexpected type. This is a bug of the provider; please report it.")
	}
	return data
}
