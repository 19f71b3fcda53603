// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

//go:generate sh -c "cd ../.. && for d in ssh local; do go run ./plugins/${DOLLAR}d describe > internal/provider/schemas/${DOLLAR}d.json || exit 1; done"

//go:embed schemas/*.json
var schemaFiles embed.FS

// bundledSchemas is what a deployer that comes with the provider can be told,
// as its program described it when the provider was built: no program is
// started to make Terraform's schema.
type bundledSchemas struct {
	connection *sdk.Schema // nil: none
	target     *sdk.Schema
}

var bundled = map[string]bundledSchemas{
	"ssh":   mustReadSchemas("ssh"),
	"local": mustReadSchemas("local"),
}

// mustReadSchemas panics on files that the tests have read.
func mustReadSchemas(name string) bundledSchemas {
	raw, err := schemaFiles.ReadFile("schemas/" + name + ".json")
	if err != nil {
		panic(err)
	}
	d, err := sdk.ParseDescription(raw)
	if err != nil {
		panic(fmt.Errorf("schemas of the deployer %s: %w", name, err))
	}
	var s bundledSchemas
	if len(d.ConnectionSchema) > 0 {
		s.connection = mustParse(name, d.ConnectionSchema)
	}
	s.target = mustParse(name, d.TargetSchema)
	return s
}

// match says whether a deployer that runs takes the configuration that the
// provider's schema shows.
func (b bundledSchemas) match(d deployer.Description) bool {
	return sameSchema(b.connection, d.ConnectionSchema) && sameSchema(b.target, d.TargetSchema)
}

func sameSchema(known *sdk.Schema, raw json.RawMessage) bool {
	if known == nil {
		return len(raw) == 0
	}
	a, errA := sdk.Canonical(known.JSON())
	b, errB := sdk.Canonical(raw)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func mustParse(name string, raw json.RawMessage) *sdk.Schema {
	s, err := sdk.ParseSchema(raw)
	if err != nil {
		panic(fmt.Errorf("schemas of the deployer %s: %w", name, err))
	}
	return s
}

// locator leads from the attribute of a configuration to one below it, by the
// names and indexes with which a deployer says what it means. Without a schema
// a number is an index.
func locator(s *sdk.Schema) func(path.Path, []string) path.Path {
	return func(at path.Path, steps []string) path.Path {
		return locate(s, at, steps)
	}
}

func locate(s *sdk.Schema, at path.Path, steps []string) path.Path {
	if len(steps) == 0 {
		return at
	}
	step, rest := steps[0], steps[1:]
	index, notIndex := strconv.Atoi(step)
	switch {
	case s != nil && s.Kind == sdk.KindStringMap:
		return at.AtMapKey(step)
	case notIndex == nil && s != nil && s.Kind == sdk.KindBlockList:
		// The fields of an element are the children of the list.
		element := *s
		element.Kind = sdk.KindBlock
		return locate(&element, at.AtListIndex(index), rest)
	case notIndex == nil && (s == nil || s.Kind != sdk.KindBlock):
		return locate(nil, at.AtListIndex(index), rest)
	}
	var child *sdk.Schema
	if s != nil {
		child = s.Child(step)
	}
	return locate(child, at.AtName(step), rest)
}

// secretsOf gives the values of a configuration that its schema calls
// sensitive.
func secretsOf(s *sdk.Schema, config json.RawMessage) []string {
	var value any
	if s == nil || json.Unmarshal(config, &value) != nil {
		return nil
	}
	var found []string
	collectSecrets(s, value, &found)
	return found
}

func collectSecrets(s *sdk.Schema, value any, found *[]string) {
	switch v := value.(type) {
	case string:
		if s.Sensitive {
			*found = append(*found, v)
		}
	case []any:
		for _, element := range v {
			collectSecrets(s, element, found)
		}
	case map[string]any:
		for name, field := range v {
			child := s.Child(name)
			if s.Kind == sdk.KindStringMap {
				child = s
			}
			if child != nil {
				collectSecrets(child, field, found)
			}
		}
	}
}

// describeField is a field's documentation: what it is for, what it may be and
// what it is when left out.
func describeField(s *sdk.Schema) string {
	parts := []string{sentence(s.Description)}
	if s.Required {
		parts = append(parts, "Required.")
	}
	if len(s.Enum) > 0 {
		parts = append(parts, "One of `"+strings.Join(s.Enum, "`, `")+"`.")
	}
	if len(s.Default) > 0 {
		parts = append(parts, "Defaults to `"+string(s.Default)+"`.")
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// bySchema checks a block against a deployer's schema, so that Terraform's
// validate already finds what the deployer would refuse.
type bySchema struct{ schema *sdk.Schema }

func (bySchema) Description(context.Context) string { return "what the deployer's schema allows" }
func (bySchema) MarkdownDescription(context.Context) string {
	return "what the deployer's schema allows"
}

func (v bySchema) ValidateObject(ctx context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	d := Diagnostics{Diagnostics: &resp.Diagnostics}
	config, err := ObjectJSON(ctx, req.ConfigValue)
	if err != nil {
		d.Error(req.Path, "The configuration cannot be read", err)
		return
	}
	appendFindings(d, v.schema, req.Path, v.schema.Validate(config))
}

// appendFindings tells what a deployer, or its schema, has to say about a
// configuration.
func appendFindings(d Diagnostics, s *sdk.Schema, at path.Path, findings []deployer.Diagnostic) {
	for _, f := range findings {
		where := locate(s, at, f.Path)
		if f.Warning {
			d.Notice(where, f.Summary, f.Detail)
		} else {
			d.Invalid(where, f.Summary, f.Detail)
		}
	}
}
