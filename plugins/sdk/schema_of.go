// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SchemaOf derives the JSON Schema of a configuration struct. Fields are
// described by their tags:
//
//	KeepReleases int `json:"keep_releases" doc:"How many revisions to keep." default:"5" delivery:"target,min=1"`
//
// The options of the delivery tag, separated by commas, are required; revision
// (the default) or target, the part that a top-level field belongs to;
// sensitive; enum=a|b; format=duration, hostport, port or path; min= and max=;
// and last, because it may contain commas, pattern=. On a list or map of
// strings, enum, format and pattern are those of its elements.
//
// Fields are string, bool, int, int64, float64, []string, map[string]string, a
// pointer to a struct (an optional block) or a slice of structs (a repeated
// block). An embedded struct lends its fields. Anything else is a mistake of
// the program and makes SchemaOf panic, saying which field it is.
func SchemaOf[T any]() json.RawMessage {
	t := reflect.TypeFor[T]()
	if done, ok := derived.Load(t); ok {
		return done.(json.RawMessage)
	}
	object, err := objectOf(t, 0)
	if err != nil {
		panic(fmt.Sprintf("sdk.SchemaOf[%s]: %v", t, err))
	}
	object["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	document := canonical(object)
	derived.Store(t, document)
	return document
}

const deepestBlock = 8

var derived sync.Map // of json.RawMessage by reflect.Type

func objectOf(t reflect.Type, depth int) (map[string]any, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	if depth > deepestBlock {
		return nil, fmt.Errorf("blocks are nested deeper than %d levels, or for ever", deepestBlock)
	}
	properties, required := map[string]any{}, []any{}
	for _, f := range fieldsOf(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !fieldName.MatchString(name) {
			return nil, fmt.Errorf("field %s: its json tag has to name it, in small letters, digits and underscores", f.Name)
		}
		if properties[name] != nil {
			return nil, fmt.Errorf("two fields are called %q", name)
		}
		property, isRequired, err := fieldOf(f, depth)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		properties[name] = property
		if isRequired {
			required = append(required, name)
		}
	}
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		slices.SortFunc(required, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		object["required"] = required
	}
	return object, nil
}

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// fieldsOf lists the exported fields, those of embedded structs among them.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("json") == "":
			fields = append(fields, fieldsOf(f.Type)...)
		case f.IsExported() && f.Tag.Get("json") != "-":
			fields = append(fields, f)
		}
	}
	return fields
}

func fieldOf(f reflect.StructField, depth int) (property map[string]any, required bool, err error) {
	property, elements, err := typeOf(f.Type, depth)
	if err != nil {
		return nil, false, err
	}
	if doc := f.Tag.Get("doc"); doc != "" {
		property["description"] = doc
	}
	options, err := parseOptions(f.Tag.Get("delivery"))
	if err != nil {
		return nil, false, err
	}
	if err := options.apply(property, elements, depth == 0); err != nil {
		return nil, false, err
	}
	if text, ok := f.Tag.Lookup("default"); ok {
		if options.required {
			return nil, false, fmt.Errorf("it is required and has a default")
		}
		value, err := defaultOf(property["type"].(string), text)
		if err != nil {
			return nil, false, err
		}
		property["default"] = value
	}
	return property, options.required, nil
}

// typeOf gives the schema of a Go type, and within it the schema of the strings
// that string options concern (nil: none).
func typeOf(t reflect.Type, depth int) (property, texts map[string]any, err error) {
	switch {
	case t.Kind() == reflect.String:
		s := map[string]any{"type": "string"}
		return s, s, nil
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}, nil, nil
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64 && t.PkgPath() == "":
		return map[string]any{"type": "integer"}, nil, nil
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": "number"}, nil, nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		s := map[string]any{"type": "string"}
		return map[string]any{"type": "array", "items": s}, s, nil
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		s := map[string]any{"type": "string"}
		return map[string]any{"type": "object", "additionalProperties": s}, s, nil
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		block, err := objectOf(t.Elem(), depth+1)
		if err == nil {
			block["x-delivery-block"] = true
		}
		return block, nil, err
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		block, err := objectOf(t.Elem(), depth+1)
		return map[string]any{"type": "array", "items": block, "x-delivery-block": true}, nil, err
	}
	return nil, nil, fmt.Errorf("%s is none of string, bool, int, int64, float64, []string, map[string]string, *struct, []struct", t)
}

type fieldOptions struct {
	required, sensitive bool
	part                Part
	enum                []any
	format, pattern     string
	min, max            json.Number
}

func parseOptions(tag string) (fieldOptions, error) {
	var o fieldOptions
	for tag != "" {
		var option string
		if pattern, ok := strings.CutPrefix(tag, "pattern="); ok {
			o.pattern = pattern
			if _, err := regexp.Compile(pattern); err != nil {
				return o, err
			}
			break
		}
		option, tag, _ = strings.Cut(tag, ",")
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "required":
			o.required = true
		case "sensitive":
			o.sensitive = true
		case "revision", "target":
			o.part = Part(key)
		case "enum":
			for _, e := range strings.Split(value, "|") {
				o.enum = append(o.enum, e)
			}
		case "format":
			if !slices.Contains([]string{formatDuration, formatHostPort, formatPort, formatPath}, value) {
				return o, fmt.Errorf("there is no format %q", value)
			}
			o.format = value
		case "min", "max":
			if _, err := strconv.ParseFloat(value, 64); err != nil {
				return o, fmt.Errorf("%s=%q is no number", key, value)
			}
			if key == "min" {
				o.min = json.Number(value)
			} else {
				o.max = json.Number(value)
			}
		default:
			return o, fmt.Errorf("there is no option %q", option)
		}
	}
	return o, nil
}

// apply writes the options into a property; texts is the schema of its strings.
func (o fieldOptions) apply(property, texts map[string]any, top bool) error {
	kind := property["type"]
	isNumber := kind == "integer" || kind == "number"
	if o.part != "" && !top {
		return fmt.Errorf("only top-level fields have a part")
	}
	if top {
		property["x-delivery-part"] = string(PartRevision)
		if o.part != "" {
			property["x-delivery-part"] = string(o.part)
		}
	}
	if o.sensitive {
		property["x-delivery-sensitive"] = true
	}
	if o.min != "" || o.max != "" {
		if !isNumber {
			return fmt.Errorf("min and max belong to numbers")
		}
		if o.min != "" {
			property["minimum"] = o.min
		}
		if o.max != "" {
			property["maximum"] = o.max
		}
	}
	if o.format == formatPort && isNumber {
		property["format"] = o.format
		return nil
	}
	if o.format == "" && o.pattern == "" && o.enum == nil {
		return nil
	}
	if texts == nil {
		return fmt.Errorf("enum, format and pattern belong to strings")
	}
	if o.enum != nil {
		texts["enum"] = o.enum
	}
	if o.format != "" {
		texts["format"] = o.format
	}
	if o.pattern != "" {
		texts["pattern"] = o.pattern
	}
	return nil
}

// defaultOf reads a default tag: a string as it is, anything else as JSON.
func defaultOf(kind, text string) (any, error) {
	if kind == "string" {
		return text, nil
	}
	value, err := parseJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("default %q: %w", text, err)
	}
	ok := false
	switch v := value.(type) {
	case bool:
		ok = kind == "boolean"
	case json.Number:
		_, err := v.Int64()
		ok = kind == "number" || kind == "integer" && err == nil
	case []any:
		ok = kind == "array"
	case map[string]any:
		ok = kind == "object"
	}
	if !ok {
		return nil, fmt.Errorf("default %q is no %s", text, kind)
	}
	return value, nil
}
