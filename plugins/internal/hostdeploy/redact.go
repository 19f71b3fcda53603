// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
)

const (
	redacted = "(sensitive)"
	// shortestSecret is the shortest text that is hidden, in bytes; hiding a
	// shorter one would tell more than it hides, and spoil all other text. The
	// provider has the same.
	shortestSecret = 4
	// shortestPart is the shortest part of a secret that is hidden on its own.
	shortestPart = 8
)

// redactor hides secrets in lines.
type redactor struct{ replacer *strings.Replacer }

// redacting hides the values, in base64 too, and each line of a value that has
// several.
func redacting(values []string) redactor {
	var hidden []string
	hide := func(text string, shortest int) {
		if len(text) >= shortest && !slices.Contains(hidden, text) {
			hidden = append(hidden, text)
		}
	}
	for _, v := range values {
		trimmed := strings.TrimSpace(v)
		hide(trimmed, shortestSecret)
		if len(trimmed) >= shortestPart {
			for _, whole := range []string{v, trimmed} {
				hide(base64.RawStdEncoding.EncodeToString([]byte(whole)), shortestSecret)
			}
		}
		if !strings.Contains(trimmed, "\n") {
			continue
		}
		for line := range strings.SplitSeq(trimmed, "\n") {
			// Markers such as BEGIN PRIVATE KEY are no secrets.
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
				hide(line, shortestPart)
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
