// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// providerModel is the provider block.
type providerModel struct {
	Store    types.String `tfsdk:"store"`
	Secrets  types.Map    `tfsdk:"secrets"`
	SSH      types.Object `tfsdk:"ssh"`
	Registry types.List   `tfsdk:"registry"`
	Git      types.List   `tfsdk:"git"`
	Plugin   types.List   `tfsdk:"plugin"`
}

type registryModel struct {
	Host     types.String `tfsdk:"host"`
	Username types.String `tfsdk:"username"`
	Password types.String `tfsdk:"password"`
}

type gitCredentialsModel struct {
	Host       types.String `tfsdk:"host"`
	Username   types.String `tfsdk:"username"`
	Token      types.String `tfsdk:"token"`
	PrivateKey types.String `tfsdk:"private_key"`
	KnownHosts types.String `tfsdk:"known_hosts"`
}

type pluginModel struct {
	Name       types.String `tfsdk:"name"`
	Path       types.String `tfsdk:"path"`
	Checksum   types.String `tfsdk:"checksum"`
	ConfigJSON types.String `tfsdk:"config_json"`
}

// validate finds what no single attribute can tell.
func (m *providerModel) validate(ctx context.Context, d Diagnostics) {
	for i, g := range elements[gitCredentialsModel](ctx, m.Git, d) {
		at := path.Root("git").AtListIndex(i)
		if g.Token.IsNull() && g.PrivateKey.IsNull() {
			d.Invalid(at, "No credentials", "Set token for URLs over HTTPS, private_key for URLs over SSH, or both.")
		}
		if !g.Username.IsNull() && g.Token.IsNull() {
			d.Invalid(at.AtName("username"), "A user without a token",
				"username goes with token. For URLs over SSH the user is part of the URL, as in ssh://git@git.acme.io/shop.git.")
		}
	}
	unique(d, "git", "host", "The server", elements[gitCredentialsModel](ctx, m.Git, d), func(g gitCredentialsModel) types.String { return g.Host })
	unique(d, "registry", "host", "The registry", elements[registryModel](ctx, m.Registry, d), func(r registryModel) types.String { return r.Host })
	unique(d, "plugin", "name", "The deployer", elements[pluginModel](ctx, m.Plugin, d), func(p pluginModel) types.String { return p.Name })
}

// unique refuses a second block for one key.
func unique[T any](d Diagnostics, block, attribute, what string, all []T, key func(T) types.String) {
	seen := map[string]int{}
	for i, one := range all {
		k := key(one)
		if k.IsNull() || k.IsUnknown() {
			continue
		}
		if first, again := seen[k.ValueString()]; again {
			d.Invalid(path.Root(block).AtListIndex(i).AtName(attribute), "Given twice",
				what+" "+quote(k.ValueString())+" has a block already: "+path.Root(block).AtListIndex(first).String()+". Keep one of them.")
			continue
		}
		seen[k.ValueString()] = i
	}
}

// data turns the block into what resources use.
func (m *providerModel) data(ctx context.Context, d Diagnostics) *Data {
	redactor := NewRedactor()
	data := &Data{
		StoreLocation: DefaultStore,
		Secrets:       map[string]string{},
		Redactor:      redactor,
		Logger:        newLogger(redactor),
		Unknown: Unknown{
			Store:   m.Store.IsUnknown() || !fullyKnown(ctx, m.Registry),
			Git:     !fullyKnown(ctx, m.Git),
			Secrets: !fullyKnown(ctx, m.Secrets),
			SSH:     !fullyKnown(ctx, m.SSH),
			Plugins: !fullyKnown(ctx, m.Plugin),
		},
	}
	if v := m.Store.ValueString(); v != "" {
		data.StoreLocation = v
	}
	for name, value := range m.Secrets.Elements() {
		if s, ok := value.(types.String); ok && !s.IsUnknown() && !s.IsNull() {
			data.Secrets[name] = s.ValueString()
			data.Redactor.Add(s.ValueString())
		}
	}
	for _, r := range elements[registryModel](ctx, m.Registry, d) {
		data.Registries = append(data.Registries, store.RegistryCredential{
			Host:     r.Host.ValueString(),
			Username: r.Username.ValueString(),
			Password: r.Password.ValueString(),
		})
		data.Redactor.Add(r.Password.ValueString())
	}
	for _, g := range elements[gitCredentialsModel](ctx, m.Git, d) {
		data.Git = append(data.Git, source.Credentials{
			Host:       g.Host.ValueString(),
			Username:   g.Username.ValueString(),
			Token:      g.Token.ValueString(),
			PrivateKey: g.PrivateKey.ValueString(),
			KnownHosts: g.KnownHosts.ValueString(),
		})
		data.Redactor.Add(g.Token.ValueString(), g.PrivateKey.ValueString())
	}
	data.Plugins = pluginhost.Options{
		Directories: pluginhost.DefaultDirectories(),
		Connections: map[string]json.RawMessage{"ssh": emptyConnection},
		Logger:      data.Logger,
	}
	if !data.Unknown.SSH && !m.SSH.IsNull() {
		connection, err := ObjectJSON(ctx, m.SSH)
		if err != nil {
			d.Error(path.Root("ssh"), "The connection cannot be read", err)
			return data
		}
		data.Plugins.Connections["ssh"] = connection
		data.Redactor.Add(secretsOf(bundled["ssh"].connection, connection)...)
	}
	if !data.Unknown.Plugins {
		data.plugins(elements[pluginModel](ctx, m.Plugin, d), d)
	}
	return data
}

func (d *Data) plugins(all []pluginModel, diagnostics Diagnostics) {
	for i, p := range all {
		file, err := filepath.Abs(p.Path.ValueString())
		if err != nil {
			diagnostics.Error(path.Root("plugin").AtListIndex(i).AtName("path"), "Not a path", err)
			continue
		}
		config := emptyConnection
		if text := p.ConfigJSON.ValueString(); strings.TrimSpace(text) != "" {
			config = json.RawMessage(text)
			d.Redactor.Add(stringsIn(config)...)
		}
		d.Plugins.Custom = append(d.Plugins.Custom, pluginhost.Custom{
			Name:     p.Name.ValueString(),
			Path:     file,
			Checksum: p.Checksum.ValueString(),
			Config:   config,
		})
	}
}

// secretInConfig is the length, in bytes, from which a string of a custom
// deployer's connection configuration is held for a secret: its schema, which
// could tell, is not known before the deployer runs.
const secretInConfig = 12

func stringsIn(raw json.RawMessage) []string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return nil
	}
	var found []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if len(v) >= secretInConfig {
				found = append(found, v)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(value)
	return found
}

// elements reads the blocks of a list; none while the list is unknown.
func elements[T any](ctx context.Context, list types.List, d Diagnostics) []T {
	if list.IsNull() || list.IsUnknown() {
		return nil
	}
	var all []T
	d.Append(list.ElementsAs(ctx, &all, false)...)
	return all
}

// fullyKnown says that nothing in a value is unknown.
func fullyKnown(ctx context.Context, v attr.Value) bool {
	raw, err := v.ToTerraformValue(ctx)
	return err == nil && raw.IsFullyKnown()
}
