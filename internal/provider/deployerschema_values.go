// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// ObjectJSON is the JSON of a block for a deployer: the fields that the user
// set and no others, unknown values being [deployer.UnknownMarker]. The JSON
// is canonical.
func ObjectJSON(ctx context.Context, object types.Object) (json.RawMessage, error) {
	return valueJSON(ctx, object)
}

// DynamicJSON is the JSON of a custom deployer's configuration, which must be
// an object; as [ObjectJSON].
func DynamicJSON(ctx context.Context, value types.Dynamic) (json.RawMessage, error) {
	if value.IsNull() || value.IsUnderlyingValueNull() {
		return json.RawMessage("{}"), nil
	}
	return valueJSON(ctx, value)
}

func valueJSON(ctx context.Context, value attr.Value) (json.RawMessage, error) {
	raw, err := value.ToTerraformValue(ctx)
	if err != nil {
		return nil, err
	}
	if raw.IsKnown() && !raw.IsNull() && !raw.Type().Is(tftypes.Object{}) && !raw.Type().Is(tftypes.Map{}) {
		return nil, errors.New("it has to be an object, as { … } makes it")
	}
	plain, err := plainValue(raw)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	return sdk.Canonical(encoded)
}

// plainValue is a Terraform value as encoding/json has it. What is not set in
// an object is left out, and so is a repeated block that is not there, which
// Terraform gives as an empty list.
func plainValue(v tftypes.Value) (any, error) {
	if !v.IsKnown() {
		return deployer.UnknownMarker, nil
	}
	if v.IsNull() {
		return nil, nil
	}
	t := v.Type()
	switch {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		var f big.Float
		if err := v.As(&f); err != nil {
			return nil, err
		}
		return json.Number(f.Text('g', -1)), nil
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		var fields map[string]tftypes.Value
		if err := v.As(&fields); err != nil {
			return nil, err
		}
		out := make(map[string]any, len(fields))
		for name, field := range fields {
			if absent(field) {
				continue
			}
			plain, err := plainValue(field)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = plain
		}
		return out, nil
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}), t.Is(tftypes.Tuple{}):
		var elements []tftypes.Value
		if err := v.As(&elements); err != nil {
			return nil, err
		}
		out := make([]any, len(elements))
		for i, element := range elements {
			plain, err := plainValue(element)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", i, err)
			}
			out[i] = plain
		}
		return out, nil
	}
	return nil, fmt.Errorf("a value of type %s is not possible here", t)
}

func absent(v tftypes.Value) bool {
	if !v.IsKnown() {
		return false
	}
	if v.IsNull() {
		return true
	}
	list, ok := v.Type().(tftypes.List)
	if !ok || !list.ElementType.Is(tftypes.Object{}) {
		return false
	}
	var elements []tftypes.Value
	return v.As(&elements) == nil && len(elements) == 0
}
