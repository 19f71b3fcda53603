// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// Version derives the version of a commit. On a tag vX.Y.Z it is X.Y.Z.
// Elsewhere it is X.Y.(Z+1)-<commits since the tag>.g<12 hex of the
// commit>.p<8 hex of the definition>: it comes after the tag, before the next
// release, in the order of commits, and another definition gives another
// version. Without tags it begins with 0.0.0-<all commits>.
func Version(d source.Description, commit, definition string) (string, error) {
	base := "0.0.0"
	if d.Tag != "" {
		tagged, ok := source.VersionOf(d.Tag)
		if !ok {
			return "", fmt.Errorf("%q is not a version tag", d.Tag)
		}
		if d.Exact {
			return tagged, store.CheckVersion(tagged)
		}
		dot := strings.LastIndexByte(tagged, '.')
		patch, err := strconv.ParseInt(tagged[dot+1:], 10, 64)
		if err != nil || patch == math.MaxInt64 {
			return "", fmt.Errorf("%q is not a version tag", d.Tag)
		}
		base = tagged[:dot+1] + strconv.FormatInt(patch+1, 10)
	}
	version := fmt.Sprintf("%s-%d.g%s.p%s", base, d.Distance, prefix(commit, 12), prefix(definition, 8))
	return version, store.CheckVersion(version)
}

// ContentVersion derives the version of what is no commit: 0.0.0-dir.<12 hex of
// the content>.p<8 hex of the definition>, or another kind than dir, so that
// another definition gives another version here too. Where the first are digits only and begin
// with a zero, which versions do not allow, more of them are taken.
func ContentVersion(kind, content, definition string) string {
	hex := strings.TrimPrefix(content, "sha256:")
	n := min(12, len(hex))
	for n < len(hex) && hex[0] == '0' && strings.Trim(hex[:n], "0123456789") == "" {
		n++
	}
	return "0.0.0-" + kind + "." + hex[:n] + ".p" + prefix(definition, 8)
}

func prefix(digest string, n int) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(n, len(digest))]
}
