// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Redacted stands where a secret was.
const Redacted = "(sensitive value)"

// shortestSecret is the length, in bytes, below which a secret is not looked
// for: hiding every "1" would tell more than it hides. It is documented with
// the provider's secrets, and the same wherever secrets are hidden: in
// internal/pipeline and in plugins/internal/hostdeploy.
const shortestSecret = 4

// Redactor removes known secrets from what users see. A nil Redactor removes
// nothing. It is safe for concurrent use.
type Redactor struct {
	mu       sync.RWMutex
	secrets  []string
	replacer *strings.Replacer
}

// NewRedactor makes a Redactor that knows these secrets.
func NewRedactor(secrets ...string) *Redactor {
	r := &Redactor{}
	r.Add(secrets...)
	return r
}

// Add makes secrets known. Each is also found in the forms in which tools tend
// to print it: one line of several, base64, escaped for JSON or a URL.
func (r *Redactor) Add(secrets ...string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if len(form) >= shortestSecret && !slices.Contains(r.secrets, form) {
				r.secrets = append(r.secrets, form)
			}
		}
	}
	// The longest first, so that a secret that holds another goes whole.
	slices.SortFunc(r.secrets, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(r.secrets))
	for _, secret := range r.secrets {
		pairs = append(pairs, secret, Redacted)
	}
	r.replacer = strings.NewReplacer(pairs...)
}

// With returns a Redactor that knows these secrets as well, leaving r as it is.
func (r *Redactor) With(secrets ...string) *Redactor {
	more := &Redactor{}
	if r != nil {
		r.mu.RLock()
		more.secrets = slices.Clone(r.secrets)
		r.mu.RUnlock()
	}
	more.Add(secrets...)
	return more
}

// Redact returns s with every known secret replaced.
func (r *Redactor) Redact(s string) string {
	if r == nil {
		return s
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}

func forms(secret string) []string {
	trimmed := strings.TrimSpace(secret)
	all := []string{secret, trimmed, url.QueryEscape(trimmed), url.PathEscape(trimmed)}
	for _, escapeHTML := range []bool{true, false} {
		all = append(all, inJSON(trimmed, escapeHTML))
	}
	if len(trimmed) >= 2*shortestSecret {
		all = append(all,
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(trimmed)), "="),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="))
	}
	if lines := strings.Split(trimmed, "\n"); len(lines) > 1 {
		for _, line := range lines {
			line = strings.TrimSpace(line)
			// Markers such as BEGIN PRIVATE KEY are no secrets.
			if len(line) >= 2*shortestSecret && !strings.HasPrefix(line, "-----") {
				all = append(all, line)
			}
		}
	}
	return all
}

// inJSON is s within a JSON string, where some encoders escape <, > and & too.
func inJSON(s string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(s); err != nil {
		return ""
	}
	return b.String()[1 : b.Len()-len("\"\n")]
}
