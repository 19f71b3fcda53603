// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"math"
	"testing"
)

func FuzzParseCondition(f *testing.F) {
	for _, seed := range []string{">= 0.92", "== 1", "< 5", "!=-1e-3", "> .5", "<= 0x1", ">", "", "≥ 1", "> -0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			return
		}
		if math.IsNaN(c.bound) || math.IsInf(c.bound, 0) {
			t.Fatalf("%q has the bound %v", text, c.bound)
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
