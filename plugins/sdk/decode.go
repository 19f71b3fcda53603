// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Decode reads a configuration into its struct, strictly: everything is checked
// against [SchemaOf] the struct, and defaults are filled in, also within blocks
// that are there. Nothing at all reads like {}. The error is a
// *deployer.Error of [deployer.CodeInvalid] with the path of the first
// attribute at fault.
func Decode[T any](raw json.RawMessage) (T, error) {
	value, unknown, err := DecodeUnknown[T](raw)
	if err == nil && len(unknown) > 0 {
		var zero T
		return zero, &deployer.Error{
			Code: deployer.CodeInvalid, Path: unknown[0],
			Message: "the value is not known yet",
			Advice:  "This is a mistake of the deployer, which asked for a value before it was there.",
		}
	}
	return value, err
}

// DecodeUnknown is Decode for Validate, where values may be unknown: those
// are zero in the result (not their default), and their paths are listed. The
// empty path stands for the whole configuration.
func DecodeUnknown[T any](raw json.RawMessage) (value T, unknown [][]string, err error) {
	if isUnknown(raw) {
		return value, [][]string{{}}, nil
	}
	schema := schemaFor[T]()
	for _, d := range schema.Validate(raw) {
		if !d.Warning {
			return value, nil, &deployer.Error{
				Code: deployer.CodeInvalid, Path: d.Path, Message: d.Summary, Advice: d.Detail,
			}
		}
	}
	config, err := parseObject(raw)
	if err != nil {
		return value, nil, deployer.Errorf(deployer.CodeInvalid, "%v", err)
	}
	completeFields(schema, config, nil, &unknown)
	if err := json.Unmarshal(canonical(config), &value); err != nil {
		var zero T
		return zero, nil, deployer.Errorf(deployer.CodeInvalid, "configuration: %v", err)
	}
	return value, unknown, nil
}

// Diagnose judges a configuration by the schema of its struct, completely: what
// a Validate returns about the shape of the configuration.
func Diagnose[T any](raw json.RawMessage) []deployer.Diagnostic {
	return schemaFor[T]().Validate(raw)
}

var parsed sync.Map // of *Schema by reflect.Type

func schemaFor[T any]() *Schema {
	t := reflect.TypeFor[T]()
	if s, ok := parsed.Load(t); ok {
		return s.(*Schema)
	}
	s, err := ParseSchema(SchemaOf[T]())
	if err != nil {
		panic("a derived schema does not parse: " + err.Error())
	}
	parsed.Store(t, s)
	return s
}

// completeFields fills defaults in and takes unknown values out.
func completeFields(s *Schema, value map[string]any, path []string, unknown *[][]string) {
	for _, child := range s.Children {
		at := append(slices.Clone(path), child.Name)
		field := value[child.Name]
		switch v := field.(type) {
		case nil:
			delete(value, child.Name)
			if child.Default != nil {
				d, err := parseJSON(child.Default)
				if err != nil {
					panic("a default does not parse: " + err.Error())
				}
				value[child.Name] = d
			}
		case string:
			if v == deployer.UnknownMarker {
				*unknown = append(*unknown, at)
				delete(value, child.Name)
			}
		case map[string]any:
			if child.Kind == KindBlock {
				completeFields(child, v, at, unknown)
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if v[key] == deployer.UnknownMarker {
					*unknown = append(*unknown, append(slices.Clone(at), key))
					v[key] = ""
				}
			}
		case []any:
			completeList(child, v, at, unknown)
		}
	}
}

func completeList(s *Schema, list []any, path []string, unknown *[][]string) {
	for i, element := range list {
		at := append(slices.Clone(path), strconv.Itoa(i))
		marked := element == deployer.UnknownMarker
		if marked {
			*unknown = append(*unknown, at)
		}
		switch m, _ := element.(map[string]any); {
		case s.Kind == KindStringList && marked:
			list[i] = ""
		case marked:
			list[i] = map[string]any{}
		case m != nil:
			completeFields(s, m, at, unknown)
		}
	}
}
