// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"math"
	"net/url"
	"strings"
	"testing"
)

func FuzzParseCondition(f *testing.F) {
	for _, seed := range []string{">= 0.92", "== 1", "< 5", "!=-1e-3", "> .5", "<= 0x1", ">", "", "≥ 1", "> -0", ">= 0.2, < 0.8", "<1,>1", "== 9007199254740993"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			return
		}
		for _, term := range c.terms {
			if math.IsNaN(term.bound) || math.IsInf(term.bound, 0) {
				t.Fatalf("%q has the bound %v", text, term.bound)
			}
		}
		again, err := ParseCondition(c.String())
		if err != nil || again != c {
			t.Fatalf("%q became %q, which became %v, %v", text, c, again, err)
		}
	})
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte(`{"a":[1,"2",true,null,{"~/":3}]}`), "/a/4/~0~1")
	f.Add([]byte(`1`), "")
	f.Add([]byte(`[[[[`), "/0")
	f.Add([]byte(`{"a":1}{`), "/a")
	f.Fuzz(func(t *testing.T, document []byte, pointer string) {
		sample, err := extract(document, pointer)
		if err == nil && !sample.NoData && math.IsNaN(sample.Value) {
			t.Fatalf("%q at %q gives NaN", document, pointer)
		}
	})
}

func FuzzPrometheusAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		sample, err := parsePrometheus(200, body)
		if err == nil && math.IsNaN(sample.Value) {
			t.Fatalf("%q gives NaN", body)
		}
	})
}

func FuzzMeasured(f *testing.F) {
	for _, seed := range []string{"1", "-0", "NaN", "+Inf", "-infinity", "0x1p4", "1_0", "", "1e999", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sample, err := measured(text)
		if err == nil && !sample.NoData && math.IsNaN(sample.Value) {
			t.Fatalf("%q gives NaN", text)
		}
		if err != nil && sample != (Sample{}) {
			t.Fatalf("%q gives %v and %v", text, sample, err)
		}
	})
}

// Whatever a value is, it stays inside of its string and of its part of a URL.
func FuzzSubject(f *testing.F) {
	f.Add("1.5.0", "app-1")
	f.Add("\"} or vector(1) #", "x|y`")
	f.Add("../&a=b#c?", "\n %")
	f.Fuzz(func(t *testing.T, version, instance string) {
		about := Subject{Version: version, Instances: []string{instance}}
		if query, err := (Prometheus{Address: "http://h", Expr: "[{{version}}|{{instances}}]"}).About(about); err == nil {
			if inside := query.(Prometheus).Expr; strings.ContainsAny(inside, "\"'`\\\n{}") {
				t.Fatalf("%q and %q give %q", version, instance, inside)
			}
		}
		query, err := (HTTP{URL: "http://h/p/{{version}}?on={{instances}}&last=1"}).About(about)
		if version == "" || instance == "" {
			if err == nil {
				t.Fatal("an empty value is taken")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(query.(HTTP).URL)
		if err != nil {
			t.Fatal(err)
		}
		values := u.Query()
		if u.Host != "h" || u.Path != "/p/"+version || len(values) != 2 || values.Get("on") != instance || values.Get("last") != "1" || u.Fragment != "" {
			t.Fatalf("%q and %q give %q", version, instance, u)
		}
	})
}
