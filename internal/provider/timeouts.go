// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// longestTimeout bounds what a timeouts block may allow.
const longestTimeout = 7 * 24 * time.Hour

// timeoutsBlock is the usual block with descriptions by operation, whose
// messages name the attribute.
func timeoutsBlock(descriptions map[string]string) schema.Block {
	attributes := make(map[string]schema.Attribute, len(descriptions))
	operations := make([]string, 0, len(descriptions))
	for operation, description := range descriptions {
		operations = append(operations, operation)
		attributes[operation] = schema.StringAttribute{
			MarkdownDescription: description,
			Optional:            true,
			Validators:          []validator.String{duration{least: time.Second, most: longestTimeout}},
		}
	}
	return schema.SingleNestedBlock{
		MarkdownDescription: "How long operations may take, such as `\"30m\"`.",
		Attributes:          attributes,
		CustomType:          timeouts.Type{ObjectType: timeoutsType(operations)},
	}
}

// noTimeouts is the value of a timeouts block that is not there.
func noTimeouts(operations ...string) timeouts.Value {
	return timeouts.Value{Object: types.ObjectNull(timeoutsType(operations).AttrTypes)}
}

func timeoutsType(operations []string) types.ObjectType {
	fields := make(map[string]attr.Type, len(operations))
	for _, operation := range operations {
		fields[operation] = types.StringType
	}
	return types.ObjectType{AttrTypes: fields}
}
