// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"encoding/base64"
	"strings"
	"testing"
)

// inPieces writes a text in pieces of some bytes.
func inPieces(text string, size int, secrets map[string]string) string {
	var b strings.Builder
	r := newRedactor(&b, secrets)
	for len(text) > 0 {
		n := min(size, len(text))
		_, _ = r.Write([]byte(text[:n]))
		text = text[n:]
	}
	_ = r.Close()
	return b.String()
}

func TestSecretsAreRedactedInEveryForm(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"A": `p&ss "w<rd`, "LONG": "hunter2hunter2", "SHORT": "hunter2", "TINY": "abc", "SHORTEST": "four", "EMPTY": "",
		"KEY": "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n",
	}
	for text, want := range map[string]string{
		`p&ss "w<rd`:             redacted,
		"p%26ss+%22w%3Crd":       redacted,
		`p\u0026ss \"w\u003crd`:  redacted,
		`p&ss \"w<rd`:            redacted,
		"four for":               redacted + " for",
		"p&amp;ss &#34;w&lt;rd":  redacted,
		"p&amp;ss &quot;w&lt;rd": redacted,
		"x hunter2hunter2 y":     "x " + redacted + " y",
		"hunter2hunter3":         redacted + "hunter3",
		"log: MIIEvQIBADANBg":    "log: " + redacted,
		"abc hunter":             "abc hunter",
		base64.StdEncoding.EncodeToString([]byte("hunter2")): redacted,
	} {
		for size := 1; size <= len(text); size++ {
			if got := inPieces(text, size, secrets); got != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, got, want)
			}
		}
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("the s3cret is s3cret", "s3cret", "cret-s3", 3)
	f.Fuzz(func(t *testing.T, text, a, b string, size int) {
		if size < 1 {
			return
		}
		secrets := map[string]string{"A": a, "B": b}
		whole := redactString(text, secrets)
		if pieces := inPieces(text, size, secrets); pieces != whole {
			t.Errorf("in pieces of %d: %q, at once: %q", size, pieces, whole)
		}
		if len(a) >= minSecret && strings.TrimSpace(a) == a && strings.Count(text, a) > 0 && whole == text && !strings.Contains(redacted, a) {
			t.Errorf("%q still has %q", whole, a)
		}
	})
}
