// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	const token = "s3cr3t/t\"oken+=="
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nYmFzZTY0bGluZXR3bw\n-----END OPENSSH PRIVATE KEY-----\n"
	r := NewRedactor(token, key, "hunter2hunter2", "hunter2", "abc", "four", `a<b>&"c`, "")
	for name, secret := range map[string]string{
		"as it is":      token,
		"in JSON":       `s3cr3t/t\"oken+==`,
		"in a query":    "s3cr3t%2Ft%22oken%2B%3D%3D",
		"in base64":     base64.StdEncoding.EncodeToString([]byte(token)),
		"whole key":     key,
		"line of key":   "YmFzZTY0bGluZXR3bw",
		"longest first": "hunter2hunter2",
		"shortest":      "four",
		"HTML in JSON":  `a\u003cb\u003e\u0026\"c`,
		"plain in JSON": `a<b>&\"c`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.Redact("before " + secret + " after")
			if strings.Contains(got, strings.TrimSpace(secret)) || strings.Contains(got, "hunter2") {
				t.Errorf("the secret is still there: %s", got)
			}
			if !strings.HasPrefix(got, "before "+Redacted) || !strings.HasSuffix(got, " after") {
				t.Errorf("the rest changed: %s", got)
			}
		})
	}
	const plain = "abc is too short, and BEGIN OPENSSH PRIVATE KEY no secret"
	if got := r.Redact(plain); got != plain {
		t.Errorf("got %q", got)
	}
}

func TestRedactorWithLeavesTheFirstAlone(t *testing.T) {
	t.Parallel()
	first := NewRedactor("first-secret")
	second := first.With("second-secret")
	const text = "first-secret second-secret"
	if got, want := first.Redact(text), Redacted+" second-secret"; got != want {
		t.Errorf("first: got %q, want %q", got, want)
	}
	if got, want := second.Redact(text), Redacted+" "+Redacted; got != want {
		t.Errorf("second: got %q, want %q", got, want)
	}
	var none *Redactor
	if got := none.With("second-secret").Redact(text); got != "first-secret "+Redacted {
		t.Errorf("none: got %q", got)
	}
	if got := none.Redact(text); got != text {
		t.Errorf("nil: got %q", got)
	}
}

// Whatever the text and the secret are, the secret is not in what is shown,
// unless the words that stand for secrets hold it.
func FuzzRedactor(f *testing.F) {
	f.Add("token=s3cret-token; done", "s3cret-token")
	f.Add("line one\nline two", "line one\nline two\n")
	f.Add("aaaa", "aaaaa")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := NewRedactor(secret).Redact(text)
		if len(secret) < shortestSecret || strings.Contains(Redacted, secret) || strings.Contains(got, Redacted) {
			return
		}
		if strings.Contains(got, secret) {
			t.Errorf("%q is still in %q", secret, got)
		}
	})
}
