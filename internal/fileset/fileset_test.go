// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package fileset_test

import (
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/fileset"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"**", "a", true}, {"**", "a/b/c", true}, {"*", "a", true}, {"*.py", "a.py", true}, {"*.py", "d/a.py", false},
		{"**/*.py", "a.py", true}, {"**/*.py", "d/e/a.py", true}, {"d", "d/e/a.py", true}, {"d/", "d/a", true}, {"d", "dd/a", false},
		{"d/*", "d/e/a", true}, {"{a,b}.txt", "b.txt", true}, {"[a-c]?", "b1", true}, {"**/dist", "x/dist/app", true},
		{"a[b", "a[b", false}, {"", "a", false}, {".env", ".env", true}, {"*", ".env", true},
	} {
		if got := fileset.Match(c.pattern, c.name); got != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.name, got)
		}
	}
	if !fileset.MatchAny([]string{"x", "*.go"}, "a.go") || fileset.MatchAny(nil, "a") {
		t.Error("MatchAny is wrong")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for pattern, say := range map[string]string{
		"": "empty", "/": "empty", "/a": "begins with a slash", "./a": "simplest form", "a//b": "simplest form", "a/../b": "simplest form", "..": "leads out",
		"../a": "leads out", "a[": "not a valid pattern", "{a": "not a valid pattern", "a\x00": "NUL",
		strings.Repeat("a", 2000): "more than 1024 bytes", strings.Repeat("{a,b}", 5): "more than 4",
	} {
		if err := fileset.Check(pattern); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.20q: %v, want %q", pattern, err, say)
		}
	}
	for _, good := range []string{"**", "dist/", "a/*.xml", "{a,b}/**", "a b", "ü"} {
		if err := fileset.Check(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("**/*.{py,js}", "a/b/c.py")
	f.Add("[^a]?*", "bcd")
	f.Add(strings.Repeat("**/", 8)+"x", strings.Repeat("a/", 50)+"y")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if fileset.Check(pattern) == nil && len(name) < 4096 {
			fileset.Match(pattern, name)
		}
	})
}
