// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"

	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
)

// Terraform has one package of schema types for providers and one for
// resources; hence the same story twice below. Defaults are the deployer's:
// what a user did not set is in no plan, no state and no diff. Terraform's
// framework wants required attributes even of a block that is left out, so
// bySchema asks for them instead.

// connectionBlock is the block of the provider with which a bundled deployer
// reaches its targets.
func connectionBlock(name, description string) provider.Block {
	s := bundled[name].connection
	attributes, blocks := providerFields(s)
	return provider.SingleNestedBlock{
		MarkdownDescription: description,
		Attributes:          attributes,
		Blocks:              blocks,
		Validators:          []validator.Object{bySchema{s}},
	}
}

// targetBlock is the block of a deployment with which it uses a bundled
// deployer.
func targetBlock(name string) resource.Block {
	s := bundled[name].target
	attributes, blocks := resourceFields(s)
	return resource.SingleNestedBlock{
		MarkdownDescription: describeField(s),
		Attributes:          attributes,
		Blocks:              blocks,
		Validators:          []validator.Object{bySchema{s}},
	}
}

func providerFields(s *sdk.Schema) (map[string]provider.Attribute, map[string]provider.Block) {
	attributes, blocks := map[string]provider.Attribute{}, map[string]provider.Block{}
	for _, c := range s.Children {
		text := describeField(c)
		switch c.Kind {
		case sdk.KindString:
			attributes[c.Name] = provider.StringAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindInteger:
			attributes[c.Name] = provider.Int64Attribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindNumber:
			attributes[c.Name] = provider.Float64Attribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindBoolean:
			attributes[c.Name] = provider.BoolAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindStringList:
			attributes[c.Name] = provider.ListAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive, ElementType: types.StringType}
		case sdk.KindStringMap:
			attributes[c.Name] = provider.MapAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive, ElementType: types.StringType}
		case sdk.KindBlock:
			a, b := providerFields(c)
			blocks[c.Name] = provider.SingleNestedBlock{MarkdownDescription: text, Attributes: a, Blocks: b}
		case sdk.KindBlockList:
			a, b := providerFields(c)
			blocks[c.Name] = provider.ListNestedBlock{MarkdownDescription: text, NestedObject: provider.NestedBlockObject{Attributes: a, Blocks: b}}
		default:
			panic(notShowable(c))
		}
	}
	return attributes, blocks
}

func resourceFields(s *sdk.Schema) (map[string]resource.Attribute, map[string]resource.Block) {
	attributes, blocks := map[string]resource.Attribute{}, map[string]resource.Block{}
	for _, c := range s.Children {
		text := describeField(c)
		switch c.Kind {
		case sdk.KindString:
			attributes[c.Name] = resource.StringAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindInteger:
			attributes[c.Name] = resource.Int64Attribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindNumber:
			attributes[c.Name] = resource.Float64Attribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindBoolean:
			attributes[c.Name] = resource.BoolAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive}
		case sdk.KindStringList:
			attributes[c.Name] = resource.ListAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive, ElementType: types.StringType}
		case sdk.KindStringMap:
			attributes[c.Name] = resource.MapAttribute{MarkdownDescription: text, Optional: true, Sensitive: c.Sensitive, ElementType: types.StringType}
		case sdk.KindBlock:
			a, b := resourceFields(c)
			blocks[c.Name] = resource.SingleNestedBlock{MarkdownDescription: text, Attributes: a, Blocks: b}
		case sdk.KindBlockList:
			a, b := resourceFields(c)
			blocks[c.Name] = resource.ListNestedBlock{MarkdownDescription: text, NestedObject: resource.NestedBlockObject{Attributes: a, Blocks: b}}
		default:
			panic(notShowable(c))
		}
	}
	return attributes, blocks
}

// notShowable says what the tests of the embedded schemas would have found.
func notShowable(c *sdk.Schema) error {
	return fmt.Errorf("the field %q of a bundled deployer is of a kind that Terraform cannot show as a typed attribute", c.Name)
}
