// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/url"
	"slices"
	"strings"
)

// minSecret is the shortest text that is redacted, in bytes: shorter ones
// would take apart every line and hide nothing. It is the same wherever secrets
// are hidden: in internal/provider and in plugins/internal/hostdeploy.
const minSecret = 4

const redacted = "[redacted]"

// redactor copies what is written to it, with every form of every secret
// replaced, also where a secret comes in pieces. Close writes what it held
// back.
type redactor struct {
	w       io.Writer
	forms   [][]byte // longest first
	first   [256]bool
	longest int
	held    []byte // may be the beginning of a secret
}

func newRedactor(w io.Writer, secrets map[string]string) *redactor {
	r := &redactor{w: w}
	for _, secret := range secrets {
		for _, form := range formsOf(secret) {
			r.forms = append(r.forms, []byte(form))
			r.first[form[0]] = true
			r.longest = max(r.longest, len(form))
		}
	}
	slices.SortFunc(r.forms, func(a, b []byte) int { return len(b) - len(a) })
	r.forms = slices.CompactFunc(r.forms, bytes.Equal)
	return r
}

// formsOf gives a secret as programs may print it: as it is, line by line, and
// escaped for URLs, JSON, XML and HTTP.
func formsOf(secret string) []string {
	lines := []string{secret}
	if strings.Contains(secret, "\n") {
		lines = append(lines, strings.Split(strings.ReplaceAll(secret, "\r", ""), "\n")...)
	}
	var forms []string
	for _, line := range lines {
		if len(strings.TrimSpace(line)) < minSecret {
			continue
		}
		forms = append(forms, line, url.QueryEscape(line), url.PathEscape(line), html.EscapeString(line),
			strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(line),
			inJSON(line, true), inJSON(line, false), base64.StdEncoding.EncodeToString([]byte(line)))
	}
	return forms
}

// inJSON is s within a JSON string, where some encoders escape <, > and & too.
func inJSON(s string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s) // a string can be encoded, and a Builder written to
	return b.String()[1 : b.Len()-len("\"\n")]
}

func (r *redactor) Write(p []byte) (int, error) {
	if len(r.forms) == 0 {
		return r.w.Write(p)
	}
	r.held = append(r.held, p...)
	return len(p), r.flush(false)
}

// Close writes what was held back. It does not close the writer beneath.
func (r *redactor) Close() error { return r.flush(true) }

func (r *redactor) flush(final bool) error {
	var out []byte
	i, done := 0, 0
	for i < len(r.held) {
		if !final && len(r.held)-i < r.longest {
			break
		}
		form := r.at(r.held[i:])
		if form == nil {
			i++
			continue
		}
		out = append(append(out, r.held[done:i]...), redacted...)
		i += len(form)
		done = i
	}
	out = append(out, r.held[done:i]...)
	r.held = append(r.held[:0], r.held[i:]...)
	if len(out) == 0 {
		return nil
	}
	_, err := r.w.Write(out)
	return err
}

// at gives the longest form that the text begins with.
func (r *redactor) at(text []byte) []byte {
	if !r.first[text[0]] {
		return nil
	}
	for _, form := range r.forms {
		if bytes.HasPrefix(text, form) {
			return form
		}
	}
	return nil
}

// redactString is redactor for a whole text.
func redactString(text string, secrets map[string]string) string {
	var b strings.Builder
	r := newRedactor(&b, secrets)
	_, _ = r.Write([]byte(text))
	_ = r.Close()
	return b.String()
}
