// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// maxDiagnostics bounds how much is said about one configuration.
const maxDiagnostics = 50

// Validate judges a configuration. Each finding carries the exact path of the
// attribute that is to blame; values of sensitive fields are never shown.
// [deployer.UnknownMarker] in place of a value, of any type, is right.
func (s *Schema) Validate(raw json.RawMessage) []deployer.Diagnostic {
	if isUnknown(raw) {
		return nil
	}
	value, err := parseObject(raw)
	if err != nil {
		return []deployer.Diagnostic{{Summary: err.Error()}}
	}
	v := &validation{}
	v.fields(s, value, nil)
	if s.compile != nil {
		v.whole(s, value)
	}
	slices.SortStableFunc(v.found, func(a, b deployer.Diagnostic) int { return slices.Compare(a.Path, b.Path) })
	if len(v.found) > maxDiagnostics {
		v.found = v.found[:maxDiagnostics]
	}
	return v.found
}

type validation struct {
	found []deployer.Diagnostic
}

func (v *validation) add(path []string, detail, format string, args ...any) {
	v.found = append(v.found, deployer.Diagnostic{
		Path: slices.Clone(path), Summary: fmt.Sprintf(format, args...), Detail: detail,
	})
}

func (v *validation) fields(s *Schema, value map[string]any, path []string) {
	for _, name := range slices.Sorted(maps.Keys(value)) {
		at := append(slices.Clone(path), name)
		child := s.Child(name)
		switch {
		case child != nil && value[name] != nil:
			v.value(child, value[name], at)
		case child == nil && !s.open && value[name] != nil:
			detail := "There are no arguments here."
			if names := childNames(s); len(names) > 0 {
				detail = "The arguments here are " + strings.Join(names, ", ") + "."
				if near := nearest(name, names); near != "" {
					detail = fmt.Sprintf("Did you mean %q? %s", near, detail)
				}
			}
			v.add(at, detail, "%q is no argument here", name)
		}
	}
	for _, child := range s.Children {
		if child.Required && value[child.Name] == nil {
			v.add(append(slices.Clone(path), child.Name), child.Description, "%q is required", child.Name)
		}
	}
}

func (v *validation) value(s *Schema, value any, path []string) {
	if value == deployer.UnknownMarker || s.Kind == KindAny {
		return
	}
	switch s.Kind {
	case KindBlock:
		if m, ok := value.(map[string]any); ok {
			v.fields(s, m, path)
			return
		}
	case KindBlockList, KindStringList:
		if list, ok := value.([]any); ok {
			v.list(s, list, path)
			return
		}
	case KindStringMap:
		if m, ok := value.(map[string]any); ok {
			for _, key := range slices.Sorted(maps.Keys(m)) {
				v.text(s, m[key], append(slices.Clone(path), key))
			}
			return
		}
	case KindBoolean:
		if _, ok := value.(bool); ok {
			return
		}
	case KindString:
		v.text(s, value, path)
		return
	case KindInteger, KindNumber:
		if n, ok := value.(json.Number); ok {
			v.number(s, n, path)
			return
		}
	}
	v.add(path, s.Description, "%s where %s belongs", describe(value), wanted(s.Kind))
}

func (v *validation) list(s *Schema, list []any, path []string) {
	for i, element := range list {
		at := append(slices.Clone(path), strconv.Itoa(i))
		if s.Kind == KindStringList {
			v.text(s, element, at)
			continue
		}
		if element == deployer.UnknownMarker {
			continue
		}
		m, ok := element.(map[string]any)
		if !ok {
			v.add(at, s.Description, "%s where %s belongs", describe(element), wanted(KindBlock))
			continue
		}
		v.fields(s, m, at)
	}
}

func (v *validation) text(s *Schema, value any, path []string) {
	text, ok := value.(string)
	if !ok {
		v.add(path, s.Description, "%s where %s belongs", describe(value), wanted(KindString))
		return
	}
	if text == deployer.UnknownMarker {
		return
	}
	shown := strconv.Quote(text)
	if s.Sensitive {
		shown = "the value"
	}
	if len(shown) > 100 {
		shown = "the value"
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
		v.add(path, s.Description, "%s is none of %s", shown, strings.Join(s.Enum, ", "))
	}
	if s.pattern != nil && !s.pattern.MatchString(text) {
		v.add(path, s.Description, "%s does not match %s", shown, s.Pattern)
	}
	if problem := checkFormat(s.Format, text); problem != "" {
		v.add(path, s.Description, "%s is no %s: %s", shown, formatName(s.Format), problem)
	}
}

func (v *validation) number(s *Schema, n json.Number, path []string) {
	f, err := n.Float64()
	if err != nil {
		v.add(path, s.Description, "the number is too large")
		return
	}
	if s.Kind == KindInteger {
		if _, err := strconv.ParseInt(normalNumber(n).String(), 10, 64); err != nil {
			v.add(path, s.Description, "%s is no whole number, or too large", n)
			return
		}
	}
	if s.Minimum != nil && f < *s.Minimum {
		v.add(path, s.Description, "%s is less than %v", n, *s.Minimum)
	}
	if s.Maximum != nil && f > *s.Maximum {
		v.add(path, s.Description, "%s is more than %v", n, *s.Maximum)
	}
	if s.Format == formatPort && (f < 1 || f > 65535) {
		v.add(path, s.Description, "%s is no port: ports are 1 to 65535", n)
	}
}

// whole adds what only the JSON Schema library finds. Nothing is said about a
// value that is unknown, or has something unknown inside.
func (v *validation) whole(s *Schema, value map[string]any) {
	compiled, err := s.compile()
	if err != nil {
		v.add(nil, "", "the deployer's schema is not usable: %v", err)
		return
	}
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(normalize(value)); !errors.As(err, &invalid) {
		return
	}
	said := map[string]bool{}
	for _, d := range v.found {
		said[strings.Join(d.Path, "\x00")] = true
	}
	printer := message.NewPrinter(language.English)
	for _, leaf := range leaves(invalid, nil) {
		at, sensitive := locate(s, value, leaf.InstanceLocation)
		if hasUnknown(at) {
			continue
		}
		text := leaf.ErrorKind.LocalizedString(printer)
		if sensitive {
			text = "the value does not fit the schema (" + strings.Join(leaf.ErrorKind.KeywordPath(), "/") + ")"
		}
		for _, f := range blamed(leaf, text) {
			if key := strings.Join(f.Path, "\x00"); !said[key] {
				said[key] = true
				v.found = append(v.found, f)
			}
		}
	}
}

// blamed finds the attributes that one finding of the library is about: what is
// missing or too much is named, and not the object around it.
func blamed(e *jsonschema.ValidationError, text string) []deployer.Diagnostic {
	names, format := []string(nil), ""
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		names, format = k.Missing, "%q is required"
	case *kind.AdditionalProperties:
		names, format = k.Properties, "%q is no argument here"
	default:
		return []deployer.Diagnostic{{Path: slices.Clone(e.InstanceLocation), Summary: text}}
	}
	found := make([]deployer.Diagnostic, len(names))
	for i, name := range names {
		found[i] = deployer.Diagnostic{
			Path: append(slices.Clone(e.InstanceLocation), name), Summary: fmt.Sprintf(format, name),
		}
	}
	return found
}

func leaves(e *jsonschema.ValidationError, out []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return append(out, e)
	}
	for _, cause := range e.Causes {
		out = leaves(cause, out)
	}
	return out
}

// locate finds the value at a path, and whether anything on the way to it, or
// inside it, is sensitive.
func locate(s *Schema, value any, path []string) (at any, sensitive bool) {
	for _, name := range path {
		if s != nil && s.Sensitive {
			sensitive = true
		}
		switch here := value.(type) {
		case map[string]any:
			value = here[name]
			if s != nil {
				s = s.Child(name)
			}
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(here) {
				return nil, sensitive
			}
			value = here[n]
		default:
			return nil, sensitive
		}
	}
	return value, sensitive || s != nil && holdsSensitive(s)
}

func holdsSensitive(s *Schema) bool {
	return s.Sensitive || slices.ContainsFunc(s.Children, holdsSensitive)
}

func hasUnknown(value any) bool {
	switch v := value.(type) {
	case string:
		return v == deployer.UnknownMarker
	case map[string]any:
		for _, field := range v {
			if hasUnknown(field) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasUnknown)
	}
	return false
}

func childNames(s *Schema) []string {
	names := make([]string, len(s.Children))
	for i, c := range s.Children {
		names[i] = c.Name
	}
	return names
}

func wanted(k Kind) string {
	switch k {
	case KindString:
		return "a string"
	case KindInteger:
		return "a whole number"
	case KindNumber:
		return "a number"
	case KindBoolean:
		return "true or false"
	case KindStringList:
		return "a list of strings"
	case KindStringMap:
		return "a map of strings"
	case KindBlockList:
		return "a list of objects"
	}
	return "an object"
}

func describe(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	}
	return "an object"
}
