// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

const (
	commitA     = "0123456789abcdef0123456789abcdef01234567"
	commitB     = "fedcba9876543210fedcba9876543210fedcba98"
	definitionA = "sha256:01234567aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at     source.Description
		commit string
		want   string
	}{
		{source.Description{Tag: "v1.5.0", Exact: true}, commitA, "1.5.0"},
		{source.Description{Tag: "v0.0.0", Exact: true}, commitA, "0.0.0"},
		{source.Description{Tag: "v10.20.30", Exact: true}, commitB, "10.20.30"},
		{source.Description{Tag: "v1.4.1", Distance: 3}, commitA, "1.4.2-3.g0123456789ab.p01234567"},
		{source.Description{Tag: "v1.4.1", Distance: 1}, commitB, "1.4.2-1.gfedcba987654.p01234567"},
		{source.Description{Tag: "v1.4.9", Distance: 3}, commitA, "1.4.10-3.g0123456789ab.p01234567"},
		{source.Description{Tag: "v1.4.99", Distance: 1200}, commitA, "1.4.100-1200.g0123456789ab.p01234567"},
		{source.Description{Tag: "v0.0.0", Distance: 1}, commitA, "0.0.1-1.g0123456789ab.p01234567"},
		{source.Description{Distance: 7}, commitA, "0.0.0-7.g0123456789ab.p01234567"},
		{source.Description{Distance: 0}, commitA, "0.0.0-0.g0123456789ab.p01234567"},
		// A SHA-256 repository, and a hash of digits only.
		{source.Description{Tag: "v1.4.1", Distance: 3}, strings.Repeat("0", 64), "1.4.2-3.g000000000000.p01234567"},
	} {
		got, err := Version(c.at, c.commit, definitionA)
		if err != nil || got != c.want {
			t.Errorf("%+v: %s, not %s: %v", c.at, got, c.want, err)
		}
		if err := store.CheckVersion(got); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []source.Description{{Tag: "release-7", Distance: 1}, {Tag: "v1.0." + strings.Repeat("9", 100), Distance: 1}} {
		if got, err := Version(bad, commitA, definitionA); err == nil {
			t.Errorf("%+v gave %s", bad, got)
		}
	}
}

func TestContentVersion(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"sha256:0123456789abcdef" + strings.Repeat("0", 48): "0.0.0-dir.0123456789ab.p" + prefix(definitionA, 8),
		"sha256:fedcba987654" + strings.Repeat("0", 52):     "0.0.0-dir.fedcba987654.p" + prefix(definitionA, 8),
		"sha256:123456789012" + strings.Repeat("a", 52):     "0.0.0-dir.123456789012.p" + prefix(definitionA, 8),
		// Digits only with a zero in front would be no version.
		"sha256:012345678901a" + strings.Repeat("0", 51):   "0.0.0-dir.012345678901a.p" + prefix(definitionA, 8),
		"sha256:01234567890123f" + strings.Repeat("0", 49): "0.0.0-dir.01234567890123f.p" + prefix(definitionA, 8),
	} {
		got := ContentVersion("dir", content, definitionA)
		if err := store.CheckVersion(got); err != nil || got != want {
			t.Errorf("%s: %s, not %s: %v", content, got, want, err)
		}
	}
}

func FuzzVersion(f *testing.F) {
	f.Add("v1.4.1", 3, false, commitA)
	f.Add("", 0, false, commitB)
	f.Add("v9.9.9", 0, true, commitB)
	f.Fuzz(func(t *testing.T, tag string, distance int, exact bool, commit string) {
		if len(commit) != 40 || strings.Trim(commit, "0123456789abcdef") != "" || distance < 0 {
			return
		}
		if v, err := Version(source.Description{Tag: tag, Distance: distance, Exact: exact}, commit, definitionA); err == nil && store.CheckVersion(v) != nil {
			t.Errorf("%q is no version", v)
		}
		if v := ContentVersion("dir", "sha256:"+commit, definitionA); store.CheckVersion(v) != nil && strings.Trim(commit, "0123456789") != "" {
			t.Errorf("%q is no version", v)
		}
	})
}
