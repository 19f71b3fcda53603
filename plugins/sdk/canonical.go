// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Split divides a target's configuration into the part that says what an
// instance runs and the part that says where: canonical JSON (sorted names, no
// nulls, one spelling of each number) of exactly the fields that are set.
// Fields that the schema does not know are part of the revision.
func (s *Schema) Split(raw json.RawMessage) (revision, target json.RawMessage, err error) {
	value, err := parseObject(raw)
	if err != nil {
		return nil, nil, err
	}
	parts := map[Part]map[string]any{PartRevision: {}, PartTarget: {}}
	for name, field := range value {
		part := PartRevision
		if child := s.Child(name); child != nil && child.Part == PartTarget {
			part = PartTarget
		}
		parts[part][name] = field
	}
	return canonical(parts[PartRevision]), canonical(parts[PartTarget]), nil
}

// Canonical rewrites JSON with sorted names, without nulls and with one
// spelling of each number, so that equal configurations are equal bytes.
func Canonical(raw json.RawMessage) (json.RawMessage, error) {
	value, err := parseJSON(raw)
	if err != nil {
		return nil, err
	}
	return canonical(value), nil
}

// isUnknown says whether a whole configuration is unknown.
func isUnknown(raw json.RawMessage) bool {
	var text string
	return json.Unmarshal(raw, &text) == nil && text == deployer.UnknownMarker
}

// parseObject reads a configuration; nothing at all is an empty one.
func parseObject(raw json.RawMessage) (map[string]any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return map[string]any{}, nil
	}
	value, err := parseJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	m, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("configuration: %s where an object belongs", describe(value))
	}
	return m, nil
}

// canonical encodes a value that parseJSON made; that cannot fail.
func canonical(value any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(normalize(value)); err != nil {
		panic(fmt.Sprintf("encode a JSON value: %v", err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func normalize(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, field := range v {
			if field != nil {
				out[name] = normalize(field)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = normalize(element)
		}
		return out
	case json.Number:
		return normalNumber(v)
	}
	return value
}

// normalNumber spells 5, 5.0 and 5e0 alike, as far as a float64 is exact.
func normalNumber(n json.Number) json.Number {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return json.Number(strconv.FormatInt(i, 10))
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	const exact = 1 << 53
	if f == math.Trunc(f) && math.Abs(f) <= exact {
		return json.Number(strconv.FormatInt(int64(f), 10))
	}
	return n
}
