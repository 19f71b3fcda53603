// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"
)

func TestInstanceNames(t *testing.T) {
	t.Parallel()
	fifty := make([]string, 0, 50)
	for n := range 50 {
		fifty = append(fifty, fmt.Sprintf("app-%d", 50-n))
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"local"}, "local"},
		{[]string{"b", "a"}, "a, b"},
		{[]string{"app-10", "app-9"}, "app-9, app-10"},
		{[]string{"app-10", "app-9", "app-8"}, "app-8 … app-10 (3 instances)"},
		{fifty, "app-1 … app-50 (50 instances)"},
		{append([]string{"db", "app-52"}, fifty...), "app-1 … app-50, app-52, db (52 instances)"},
		{[]string{"a01", "a02", "a03", "b04"}, "a01 … a03, b04 (4 instances)"},
		{[]string{"0", "1", "2"}, "0 … 2 (3 instances)"},
		{strings.Split("a b c d e f g h i j", " "), "a, b, c, d, e, f, g, h, … and 2 more (10 instances)"},
		{[]string{"app-99999999999999999999", "a\x1b[2J", "a, b"}, `"a\x1b[2J", "a, b", app-99999999999999999999`},
	} {
		if got := instanceNames(c.names); got != c.want {
			t.Errorf("%v: %q, want %q", c.names, got, c.want)
		}
	}
}

func FuzzInstanceNames(f *testing.F) {
	for _, seed := range []string{"", "a", "app-1 app-2 app-3", "1 01 001 2", "999999999 1000000000", "\x00 \xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, names string) {
		all := strings.Split(names, " ")
		if got := instanceNames(all); len(got) > 2*len(names)*4+200 || strings.ContainsAny(got, "\x00\n\x1b") {
			t.Errorf("%q", got)
		}
	})
}
