// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package fileset is the one language in which users name files (artifacts and
// reports), and the one list of what is never part of a source or a release.
package fileset

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxPattern bounds a pattern, in bytes. Matching costs at most the product of
// the lengths of pattern and path.
const maxPattern = 1024

// Check says what is wrong with a pattern; nil when it is good. Patterns are
// relative, slash-separated, and know *, **, ?, [class] and {a,b}.
func Check(pattern string) error {
	switch clean := strings.TrimSuffix(pattern, "/"); {
	case clean == "":
		return errors.New("the pattern is empty")
	case len(pattern) > maxPattern:
		return fmt.Errorf("the pattern has more than %d bytes", maxPattern)
	case strings.HasPrefix(pattern, "/"):
		return fmt.Errorf("%q begins with a slash; patterns are relative to the checkout", pattern)
	case strings.ContainsRune(pattern, 0):
		return errors.New("the pattern contains a NUL byte")
	case path.Clean(clean) != clean:
		return fmt.Errorf("%q is not in its simplest form: leave out \"./\", \"../\" and double slashes", pattern)
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return fmt.Errorf("%q leads out of the checkout", pattern)
	case strings.Count(clean, "**") > 8 || strings.Count(clean, "{") > 4:
		return fmt.Errorf("%q has more than 8 \"**\" or more than 4 \"{\"", pattern)
	case strings.Count(clean, ",") > 64:
		return fmt.Errorf("%q has more than 64 commas", pattern)
	case !doublestar.ValidatePattern(clean):
		return fmt.Errorf("%q is not a valid pattern: look for an unclosed [ or {", pattern)
	}
	return nil
}

// Match says whether a pattern names the file: it matches the slash-separated
// path or one of its parent directories. A bad pattern names nothing.
func Match(pattern, name string) bool {
	pattern = strings.TrimSuffix(pattern, "/")
	for ; name != "." && name != "/" && name != ""; name = path.Dir(name) {
		if ok, err := doublestar.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

// MatchAny says whether one of the patterns names the file.
func MatchAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if Match(pattern, name) {
			return true
		}
	}
	return false
}
