// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"cmp"
	"slices"
	"strings"
)

const (
	redacted = "(sensitive)"
	// shortestSecret is the shortest text that is hidden; hiding a shorter one
	// would tell more than it hides, and spoil all other text.
	shortestSecret = 3
)

// redactor hides secrets in lines.
type redactor struct{ replacer *strings.Replacer }

// redacting hides the values, and each line of a value that has several.
func redacting(values []string) redactor {
	var hidden []string
	for _, v := range values {
		for _, part := range append(strings.Split(v, "\n"), v) {
			part = strings.TrimSpace(part)
			if len(part) >= shortestSecret && !slices.Contains(hidden, part) {
				hidden = append(hidden, part)
			}
		}
	}
	// The longest first, so that one secret within another does not spoil it.
	slices.SortStableFunc(hidden, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, h := range hidden {
		pairs = append(pairs, h, redacted)
	}
	return redactor{strings.NewReplacer(pairs...)}
}

func (r redactor) line(s string) string {
	if r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}

func (r redactor) lines(lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, r.line(l))
	}
	return out
}
