// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// MaxVersion is the longest version, in bytes. A tag has at most 128, and the
// tags of a release's evidence are longer than its own.
const MaxVersion = 100

// versionPattern is a semantic version 2.0.0 without a leading v
// (https://semver.org, "Is there a suggested regular expression").
var versionPattern = lazyregexp.New(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)` +
	`(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?` +
	`(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)

// CheckVersion tells what is wrong with a version, if anything: it must be a
// semantic version, without a leading v, of at most [MaxVersion] bytes.
func CheckVersion(version string) error {
	switch {
	case version == "":
		return fmt.Errorf("a version must not be empty: write one such as 1.5.0")
	case len(version) > MaxVersion:
		return fmt.Errorf("the version has %d characters, and at most %d are possible", len(version), MaxVersion)
	case versionPattern.MatchString(version):
		return nil
	case (version[0] == 'v' || version[0] == 'V') && versionPattern.MatchString(version[1:]):
		return fmt.Errorf("%q begins with a %q, and a version has none: write %q", version, version[:1], version[1:])
	}
	return fmt.Errorf("%q is not a semantic version: write MAJOR.MINOR.PATCH, such as 1.5.0 or 1.5.0-rc.1", version)
}

// EncodeTag is the one way from a version to its tag: "+", which tags do not
// allow, becomes "_", which versions do not have. Everything else stays.
func EncodeTag(version string) (string, error) {
	if err := CheckVersion(version); err != nil {
		return "", err
	}
	return strings.Replace(version, "+", "_", 1), nil
}

// DecodeTag is the way back. It tells whether the tag is that of a version.
func DecodeTag(tag string) (version string, ok bool) {
	if strings.Contains(tag, "+") {
		return "", false
	}
	version = strings.Replace(tag, "_", "+", 1)
	return version, CheckVersion(version) == nil
}

// What identifies in derived versions and does not order.
var (
	commitSuffix   = lazyregexp.New(`\.g[0-9a-f]{12}\.p[0-9a-f]{8}$`)
	contentVersion = lazyregexp.New(`^0\.0\.0-(?:dir|artifact)\.[0-9a-f]{12,64}$`)
)

// compareVersions orders by precedence. Versions that say nothing about their
// order are equal.
func compareVersions(a, b string) int {
	strip := func(v string) string {
		v = contentVersion.ReplaceAllString(v, "0.0.0-content")
		return "v" + commitSuffix.ReplaceAllString(v, "")
	}
	return semver.Compare(strip(a), strip(b))
}

// versionsOf picks the versions out of all tags, highest first.
func versionsOf(tags []string) []string {
	versions := []string{}
	for _, tag := range tags {
		if v, ok := DecodeTag(tag); ok {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(a, b string) int {
		return cmp.Or(compareVersions(b, a), semver.Compare("v"+b, "v"+a), strings.Compare(b, a))
	})
	return slices.Compact(versions)
}
