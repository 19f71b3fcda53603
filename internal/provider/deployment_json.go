// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// valueFromJSON reads JSON as a value of a Terraform type. Members that are
// left out are null; members that the type does not have are an error.
func valueFromJSON(ctx context.Context, raw json.RawMessage, as attr.Type) (attr.Value, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	value, err := terraformValue(v, as.TerraformType(ctx))
	if err != nil {
		return nil, err
	}
	return as.ValueFromTerraform(ctx, value)
}

func terraformValue(v any, as tftypes.Type) (tftypes.Value, error) {
	if as.Is(tftypes.DynamicPseudoType) {
		as = typeOf(v)
	}
	if v == nil {
		return tftypes.NewValue(as, nil), nil
	}
	wrong := fmt.Errorf("%v does not fit the type %s", v, as)
	switch want := as.(type) {
	case tftypes.Object:
		members, ok := v.(map[string]any)
		if !ok {
			return tftypes.Value{}, wrong
		}
		for name := range members {
			if _, ok := want.AttributeTypes[name]; !ok {
				return tftypes.Value{}, fmt.Errorf("there is no argument named %q", name)
			}
		}
		out := make(map[string]tftypes.Value, len(want.AttributeTypes))
		for name, t := range want.AttributeTypes {
			value, err := terraformValue(members[name], t)
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = value
		}
		return tftypes.NewValue(as, out), nil
	case tftypes.Map:
		members, ok := v.(map[string]any)
		if !ok {
			return tftypes.Value{}, wrong
		}
		out := make(map[string]tftypes.Value, len(members))
		for name, member := range members {
			value, err := terraformValue(member, want.ElementType)
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = value
		}
		return tftypes.NewValue(as, out), nil
	case tftypes.List, tftypes.Tuple:
		members, ok := v.([]any)
		if !ok {
			return tftypes.Value{}, wrong
		}
		out := make([]tftypes.Value, 0, len(members))
		for n, member := range members {
			value, err := terraformValue(member, elementType(as, n))
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("element %d: %w", n, err)
			}
			out = append(out, value)
		}
		return tftypes.NewValue(as, out), nil
	}
	switch v := v.(type) {
	case string:
		if as.Is(tftypes.String) {
			return tftypes.NewValue(as, v), nil
		}
	case bool:
		if as.Is(tftypes.Bool) {
			return tftypes.NewValue(as, v), nil
		}
	case json.Number:
		if number, _, err := big.ParseFloat(v.String(), 10, 512, big.ToNearestEven); err == nil && as.Is(tftypes.Number) {
			return tftypes.NewValue(as, number), nil
		}
	}
	return tftypes.Value{}, wrong
}

func elementType(list tftypes.Type, n int) tftypes.Type {
	if tuple, ok := list.(tftypes.Tuple); ok {
		return tuple.ElementTypes[n]
	}
	return list.(tftypes.List).ElementType
}

// typeOf is the type of a JSON value by itself, as an expression would have it.
func typeOf(v any) tftypes.Type {
	switch v := v.(type) {
	case bool:
		return tftypes.Bool
	case json.Number:
		return tftypes.Number
	case []any:
		types := make([]tftypes.Type, len(v))
		for n, member := range v {
			types[n] = typeOf(member)
		}
		return tftypes.Tuple{ElementTypes: types}
	case map[string]any:
		types := make(map[string]tftypes.Type, len(v))
		for name, member := range v {
			types[name] = typeOf(member)
		}
		return tftypes.Object{AttributeTypes: types}
	}
	return tftypes.String
}
