// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Kind is what a field holds, in the few shapes that Terraform can show.
type Kind string

// The kinds of fields.
const (
	KindString     Kind = "string"
	KindInteger    Kind = "integer"
	KindNumber     Kind = "number"
	KindBoolean    Kind = "boolean"
	KindStringList Kind = "string_list"
	KindStringMap  Kind = "string_map"
	KindBlock      Kind = "block"      // Children are its fields
	KindBlockList  Kind = "block_list" // Children are the fields of each element
	KindAny        Kind = "any"        // something that only JSON Schema can describe
)

// Part says what a top-level field of a target belongs to.
type Part string

// The parts of a target's configuration.
const (
	// PartRevision fields say what an instance runs: a change is rolled out,
	// recorded and reverted like a new release.
	PartRevision Part = "revision"
	// PartTarget fields say where, and how many.
	PartTarget Part = "target"
)

// Schema is one configuration schema as a tree: the root is a [KindBlock]
// without a name. It comes from [ParseSchema] and is safe for concurrent use.
type Schema struct {
	Name        string
	Kind        Kind
	Description string
	Default     json.RawMessage // nil: none
	Required    bool
	Sensitive   bool
	Part        Part      // of top-level fields
	Children    []*Schema // of blocks and block lists, sorted by name

	Enum    []string // of strings, and of the elements of lists and maps of strings
	Pattern string
	Format  string
	Minimum *float64
	Maximum *float64

	open     bool // other names are allowed, as JSON Schema has it by default
	pattern  *regexp.Regexp
	document json.RawMessage
	// compile gives the whole of JSON Schema, for schemas that use more of it
	// than the tree can hold; nil when the tree says everything.
	compile func() (*jsonschema.Schema, error)
}

// ParseSchema reads a configuration schema: JSON Schema (draft 2020-12 unless
// it names another) that describes an object. Schemas that [SchemaOf] makes are
// held by the tree alone. Others may use all of JSON Schema within limits: no
// more than 256 KiB, references only within the document and not recursive.
// What the tree cannot hold is [KindAny] there, and still judged by Validate.
func ParseSchema(document json.RawMessage) (*Schema, error) {
	raw, err := parseGuarded(document)
	if err != nil {
		return nil, fmt.Errorf("configuration schema: %w", err)
	}
	p := parser{document: raw, plain: true}
	root, err := p.node("", raw)
	if err != nil {
		return nil, fmt.Errorf("configuration schema: %w", err)
	}
	if root.Kind != KindBlock {
		return nil, fmt.Errorf("configuration schema: it has to describe an object")
	}
	root.document = bytes.Clone(document)
	if !p.plain {
		root.compile = sync.OnceValues(func() (*jsonschema.Schema, error) { return compile(raw) })
		if _, err := root.compile(); err != nil {
			return nil, fmt.Errorf("configuration schema: %w", err)
		}
	}
	return root, nil
}

// JSON is the document that the schema was parsed from.
func (s *Schema) JSON() json.RawMessage { return s.document }

// Child returns the field of a name, or nil.
func (s *Schema) Child(name string) *Schema {
	i, found := slices.BinarySearchFunc(s.Children, name, func(c *Schema, name string) int {
		switch {
		case c.Name < name:
			return -1
		case c.Name > name:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return s.Children[i]
}

// keywords that the tree understands, or that say nothing about validity.
var plainKeywords = map[string]bool{
	"$schema": true, "$comment": true, "title": true, "description": true, "examples": true,
	"type": true, "properties": true, "required": true, "additionalProperties": true,
	"items": true, "default": true, "enum": true, "pattern": true, "format": true,
	"minimum": true, "maximum": true, "deprecated": true,
	"x-delivery-part": true, "x-delivery-block": true, "x-delivery-sensitive": true,
}

type parser struct {
	document any
	plain    bool // so far the tree says everything
}

func (p *parser) node(name string, raw any) (*Schema, error) {
	m, ok := raw.(map[string]any)
	if !ok {
		p.plain = false
		return &Schema{Name: name, Kind: KindAny}, nil
	}
	if ref, ok := m["$ref"].(string); ok && len(m) == 1 {
		p.plain = false
		resolved, err := resolve(p.document, ref)
		if err != nil {
			return nil, err
		}
		return p.node(name, resolved)
	}
	s := &Schema{Name: name, Kind: KindAny}
	for k := range m {
		p.plain = p.plain && plainKeywords[k]
	}
	s.Description, _ = m["description"].(string)
	s.Sensitive, _ = m["x-delivery-sensitive"].(bool)
	if d, ok := m["default"]; ok {
		s.Default = canonical(d)
	}
	if err := p.kind(s, m); err != nil {
		return nil, err
	}
	if s.Kind == KindAny {
		p.plain = false
	}
	return s, nil
}

// kind finds out what s holds, and reads what belongs to that kind.
func (p *parser) kind(s *Schema, m map[string]any) error {
	kind, _ := m["type"].(string)
	switch kind {
	case "string", "integer", "number", "boolean":
		s.Kind = Kind(kind)
		return p.limits(s, m)
	case "array":
		items, err := p.element(s, m["items"])
		if err != nil || items == nil {
			return err
		}
		switch items.Kind {
		case KindString:
			s.Kind = KindStringList
			s.limitsOf(items)
		case KindBlock:
			s.Kind = KindBlockList
			s.Children, s.open = items.Children, items.open
		}
	case "object":
		_, fields := m["properties"]
		additional := m["additionalProperties"]
		if !fields && additional != nil && additional != false && additional != true {
			items, err := p.element(s, additional)
			if err != nil || items == nil {
				return err
			}
			if items.Kind == KindString {
				s.Kind = KindStringMap
				s.limitsOf(items)
			}
			return nil
		}
		return p.block(s, m)
	}
	return nil
}

func (p *parser) element(s *Schema, raw any) (*Schema, error) {
	if raw == nil {
		return nil, nil
	}
	items, err := p.node(s.Name, raw)
	if err != nil {
		return nil, err
	}
	s.Sensitive = s.Sensitive || items.Sensitive
	return items, nil
}

func (p *parser) block(s *Schema, m map[string]any) error {
	s.Kind = KindBlock
	s.open = m["additionalProperties"] != false
	if extra := m["additionalProperties"]; extra != nil && extra != false && extra != true {
		p.plain = false
	}
	if m["properties"] != nil {
		fields, ok := m["properties"].(map[string]any)
		if !ok {
			return fmt.Errorf("the properties of %q are not an object", s.Name)
		}
		for name, raw := range fields {
			child, err := p.node(name, raw)
			if err != nil {
				return err
			}
			child.Part = PartRevision
			if f, ok := raw.(map[string]any); ok && f["x-delivery-part"] == string(PartTarget) {
				child.Part = PartTarget
			}
			s.Children = append(s.Children, child)
		}
	}
	slices.SortFunc(s.Children, func(a, b *Schema) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	required, _ := m["required"].([]any)
	for _, r := range required {
		name, _ := r.(string)
		if child := s.Child(name); child != nil {
			child.Required = true
		} else {
			p.plain = false
		}
	}
	return nil
}

func (p *parser) limits(s *Schema, m map[string]any) error {
	if list, ok := m["enum"].([]any); ok {
		for _, e := range list {
			text, ok := e.(string)
			if !ok {
				p.plain = false
				s.Enum = nil
				break
			}
			s.Enum = append(s.Enum, text)
		}
		p.plain = p.plain && s.Kind == KindString
	}
	s.Pattern, _ = m["pattern"].(string)
	s.Format, _ = m["format"].(string)
	if s.Pattern != "" {
		var err error
		if s.pattern, err = regexp.Compile(s.Pattern); err != nil {
			return fmt.Errorf("the pattern of %q: %w", s.Name, err)
		}
	}
	s.Minimum, s.Maximum = number(m["minimum"]), number(m["maximum"])
	return nil
}

func (s *Schema) limitsOf(items *Schema) {
	s.Enum, s.Pattern, s.Format, s.pattern = items.Enum, items.Pattern, items.Format, items.pattern
}

func number(raw any) *float64 {
	n, ok := raw.(json.Number)
	if !ok {
		return nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil
	}
	return &f
}
