// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// foreign is a schema as other tools write them.
const foreign = `{
	"$schema": "http://json-schema.org/draft-07/schema#",
	"$id": "https://example.com/edge.json",
	"type": "object",
	"required": ["pop"],
	"properties": {
		"pop": {"$ref": "#/definitions/pop"},
		"weights": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
		"tls": {"oneOf": [{"type": "boolean"}, {"type": "object", "required": ["cert"], "properties": {"cert": {"type": "string"}}}]},
		"secret": {"type": "string", "minLength": 12, "x-delivery-sensitive": true},
		"ports": {"type": "array", "items": {"type": "integer"}, "uniqueItems": true, "x-delivery-part": "target"}
	},
	"if": {"properties": {"pop": {"const": "ams"}}}, "then": {"required": ["tls"]},
	"definitions": {"pop": {"type": "string", "enum": ["fra", "ams"]}}
}`

func TestForeignSchema(t *testing.T) {
	t.Parallel()
	s := parse(t, foreign)
	unknown, _ := json.Marshal(deployer.UnknownMarker)
	for _, c := range []struct {
		config string
		paths  []string
	}{
		{`{"pop":"fra","weights":{"a":1},"tls":true,"ports":[1,2],"anything":1}`, nil},
		{`{}`, []string{"pop", "tls"}},
		{`{"pop":"xyz"}`, []string{"pop"}},
		{`{"pop":"fra","weights":{"a":-1}}`, []string{"weights/a"}},
		{`{"pop":"fra","ports":[1,1]}`, []string{"ports"}},
		{`{"pop":"fra","secret":"short"}`, []string{"secret"}},
		{`{"pop":"ams"}`, []string{"tls"}},
		{`{"pop":"fra","weights":{"a":?},"tls":?,"ports":[1,?]}`, nil},
		{`{"pop":?}`, nil},
	} {
		var paths []string
		for _, d := range s.Validate(json.RawMessage(strings.ReplaceAll(c.config, "?", string(unknown)))) {
			paths = append(paths, strings.Join(d.Path, "/"))
			if strings.Contains(d.Summary, "short") {
				t.Errorf("a secret is shown: %s", d.Summary)
			}
		}
		if !reflect.DeepEqual(paths, c.paths) {
			t.Errorf("%s: found at %q, want %q", c.config, paths, c.paths)
		}
	}
	if k := s.Child("weights").Kind; k != sdk.KindAny {
		t.Errorf("weights is %s", k)
	}
	if p := s.Child("ports").Part; p != sdk.PartTarget {
		t.Errorf("ports is of the %s", p)
	}
}

func TestHostileSchemas(t *testing.T) {
	t.Parallel()
	doubling := func() string {
		var b strings.Builder
		b.WriteString(`{"type":"object","$ref":"#/$defs/d0","$defs":{`)
		for i := range 30 {
			fmt.Fprintf(&b, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
		}
		b.WriteString(`"d30":{}}}`)
		return b.String()
	}()
	for name, document := range map[string]string{
		"no JSON":             `{`,
		"no object":           `{"type":"string"}`,
		"a list":              `[]`,
		"too large":           `{"type":"object","description":"` + strings.Repeat("x", 300<<10) + `"}`,
		"too deep":            strings.Repeat(`{"not":`, 100) + `{}` + strings.Repeat(`}`, 100),
		"a remote reference":  `{"type":"object","properties":{"a":{"$ref":"http://169.254.169.254/"}}}`,
		"a file reference":    `{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`,
		"recursion":           `{"type":"object","properties":{"a":{"$ref":"#"}}}`,
		"nowhere":             `{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}}}`,
		"a bomb":              doubling,
		"a dynamic reference": `{"type":"object","$dynamicRef":"#a"}`,
		"a foreign dialect":   `{"$schema":"https://example.com/own","type":"object","allOf":[]}`,
		"a bad pattern":       `{"type":"object","properties":{"a":{"type":"string","pattern":"("}}}`,
		"bad keywords":        `{"type":"object","properties":{"a":{"minLength":"x"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := sdk.ParseSchema(json.RawMessage(document)); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add([]byte(foreign), []byte(`{"pop":"fra","tls":{}}`))
	f.Add([]byte(sdk.SchemaOf[target]()), []byte(good))
	f.Add([]byte(`{"type":"object","properties":{"a":{"$ref":"#/properties/b"},"b":true}}`), []byte(`{"a":{"b":[null]}}`))
	f.Fuzz(func(t *testing.T, document, config []byte) {
		s, err := sdk.ParseSchema(document)
		if err != nil {
			return
		}
		s.Validate(config)
		revision, where, err := s.Split(config)
		if err == nil && (!json.Valid(revision) || !json.Valid(where)) {
			t.Errorf("split into %s and %s", revision, where)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"path":"` + strings.ReplaceAll(deployer.UnknownMarker, "\x00", `\u0000`) + `","hosts":{}}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		value, unknown, err := sdk.DecodeUnknown[target](config)
		if err == nil && len(unknown) == 0 && (value.KeepReleases < 1 || value.Hosts == nil) {
			t.Errorf("decoded %s into %+v", config, value)
		}
	})
}
