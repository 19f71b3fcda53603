// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Limits on schemas, which may come from a program nobody here has read.
const (
	schemaBytes = 256 << 10
	schemaDepth = 32
	schemaNodes = 20_000 // with every reference expanded
)

const schemaURL = "urn:delivery:configuration"

// parseJSON reads exactly one JSON value, keeping numbers as they are written.
func parseJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is no JSON: something follows the value")
	}
	return v, nil
}

// parseGuarded parses a schema and refuses what could cost too much or reach outside.
func parseGuarded(document []byte) (any, error) {
	if len(document) > schemaBytes {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(document), schemaBytes)
	}
	raw, err := parseJSON(document)
	if err != nil {
		return nil, err
	}
	g := guardian{document: raw}
	return raw, g.schema(raw, 0)
}

type guardian struct {
	document any
	nodes    int
}

func (g *guardian) schema(raw any, depth int) error {
	if g.nodes++; g.nodes > schemaNodes {
		return fmt.Errorf("it has more than %d parts once its references are followed", schemaNodes)
	}
	if depth > schemaDepth {
		return fmt.Errorf("it is deeper than %d levels, or refers to itself", schemaDepth)
	}
	m, ok := raw.(map[string]any)
	if !ok {
		return nil
	}
	for keyword, value := range m {
		if err := g.keyword(keyword, value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (g *guardian) keyword(keyword string, value any, depth int) error {
	switch keyword {
	case "$ref":
		ref, _ := value.(string)
		target, err := resolve(g.document, ref)
		if err != nil {
			return err
		}
		return g.schema(target, depth+1)
	case "$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor", "$vocabulary":
		return fmt.Errorf("%s is not supported", keyword)
	case "$id", "id":
		if depth > 0 && keyword == "$id" {
			return errors.New("$id is supported at the top only")
		}
		return nil
	case "enum", "const", "default", "examples", "required":
		return nil
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies":
		fields, _ := value.(map[string]any)
		for _, field := range fields {
			if err := g.schema(field, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	switch value := value.(type) {
	case map[string]any:
		return g.schema(value, depth+1)
	case []any:
		for _, element := range value {
			if err := g.schema(element, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve follows a reference within the document.
func resolve(document any, ref string) (any, error) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("the reference %q leaves the document: only #/… is followed", ref)
	}
	at := document
	if pointer == "" {
		return at, nil
	}
	for _, token := range strings.Split(pointer[1:], "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch here := at.(type) {
		case map[string]any:
			at, ok = here[token]
		case []any:
			var n int
			n, err := strconv.Atoi(token)
			if ok = err == nil && n >= 0 && n < len(here); ok {
				at = here[n]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("the reference %q leads nowhere", ref)
		}
	}
	return at, nil
}

type refuseLoading struct{}

func (refuseLoading) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s, and nothing is ever fetched", url)
}

// compile hands a guarded schema to the JSON Schema library.
func compile(document any) (*jsonschema.Schema, error) {
	if m, ok := document.(map[string]any); ok && m["$id"] != nil {
		without := make(map[string]any, len(m))
		for k, v := range m {
			if k != "$id" {
				without[k] = v
			}
		}
		document = without
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuseLoading{})
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}
