// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// tagPattern is what the distribution specification allows.
var tagPattern = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"0.0.0", "1.5.0", "10.20.30", "1.5.0-rc.1", "1.5.0-rc.1+build.7", "1.5.0+20260102", "1.0.0--", "1.0.0-a-b.c",
		"1.4.2-3.g0123456789ab.p01234567", "0.0.0-dir.0123456789ab", "99999999999999999999.0.0", strings.Repeat("1", MaxVersion-4) + ".0.0",
	} {
		if err := CheckVersion(good); err != nil {
			t.Errorf("%s: %v", good, err)
			continue
		}
		tag, err := EncodeTag(good)
		if err != nil || !tagPattern.MatchString(tag) {
			t.Errorf("%s has the tag %q: %v", good, tag, err)
		}
		if back, ok := DecodeTag(tag); !ok || back != good {
			t.Errorf("%s became %q", good, back)
		}
	}
	for bad, says := range map[string]string{
		"": "must not be empty", "1": "not a semantic version", "1.5": "such as 1.5.0", "v1.5.0": `write "1.5.0"`, "V1.5.0": `write "1.5.0"`,
		"1.5.0-": "not a semantic version", "1.5.0+": "not a semantic version", "01.5.0": "not a semantic version", "1.5.0-01": "not a semantic version",
		"1.5.0_1": "not a semantic version", "1.5.0 ": "not a semantic version", "1.5.0+a+b": "not a semantic version", "1.5.0-ä": "not a semantic version",
		strings.Repeat("1", MaxVersion) + ".0.0": "at most 100", "1.5.0\n": "not a semantic version", "latest": "not a semantic version",
	} {
		if err := CheckVersion(bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := EncodeTag(bad); err == nil {
			t.Errorf("%q has a tag", bad)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	ordered := []string{
		"2.0.0", "1.10.1-12.g0123456789ab.p01234567", "1.10.1-3.gfedcba987654.p01234567", "1.10.0", "1.9.0", "1.9.0-rc.1", "0.0.0-7.g0123456789ab.p01234567",
	}
	tags := []string{"latest", "e.1.9.0.checks"}
	for _, v := range ordered {
		tag, err := EncodeTag(v)
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	if got := versionsOf(tags); !slices.Equal(got, ordered) {
		t.Fatalf("%v", got)
	}
	for _, equal := range [][2]string{
		{"1.4.2-3.g0123456789ab.p01234567", "1.4.2-3.gfedcba987654.p76543210"},
		{"0.0.0-dir.0123456789ab", "0.0.0-dir.fedcba987654"},
		{"0.0.0-artifact.0123456789ab", "0.0.0-artifact.fedcba987654"},
	} {
		if compareVersions(equal[0], equal[1]) != 0 {
			t.Errorf("%v have an order", equal)
		}
	}
}

// TestTagLength: whatever is derived from the longest names fits.
func TestTagLength(t *testing.T) {
	t.Parallel()
	longest := "1.0.0-" + strings.Repeat("a", MaxVersion-6)
	tags, err := evidenceTags(longest, checksKind, definitionA)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := eventRef(strings.Repeat("e", 31), strings.Repeat("d", 31),
		time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), strings.Repeat("o", 20), strings.Repeat("x", 64))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range append(tags, ref.Tag) {
		if !tagPattern.MatchString(tag) {
			t.Errorf("%q is not a tag", tag)
		}
		if _, ok := DecodeTag(tag); ok {
			t.Errorf("%q looks like a release", tag)
		}
	}
	if again, ok := parseEventTag(ref.Tag); !ok || again != ref || again.Ended.Hour() != 2 {
		t.Errorf("%+v, not %+v", again, ref)
	}
}

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"1.5.0", "v1.5.0", "1.5.0-rc.1+b", "1.5.0_b", "e.1.5.0.checks", "0.0.0-dir.012345678901", "1.0.0-0123.g"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if version, ok := DecodeTag(s); ok {
			if tag, err := EncodeTag(version); err != nil || tag != s || !tagPattern.MatchString(tag) {
				t.Errorf("%q became %q, then %q: %v", s, version, tag, err)
			}
			if compareVersions(version, version) != 0 || len(versionsOf([]string{s, s})) != 1 {
				t.Errorf("%q has no order", version)
			}
		}
	})
}

func FuzzEventTag(f *testing.F) {
	f.Add("d.production.api.20260102T030405Z.succeeded.4f1c")
	f.Add("d......")
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseEventTag(s)
		if !ok {
			return
		}
		again, err := eventRef(r.Environment, r.Deployment, r.Ended, r.Outcome, r.Operation)
		if err != nil || again.Tag != s || !tagPattern.MatchString(s) {
			t.Errorf("%q became %q: %v", s, again.Tag, err)
		}
	})
}
