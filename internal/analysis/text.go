// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// shorten makes one short line of a text that somebody else wrote.
func shorten(text string) string { return shortenTo(80, text) }

func shortenTo(most int, text string) string {
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text[:min(len(text), 4*most+4)])
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return line
}

// withoutSecrets keeps of a URL what can be shown.
func withoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the URL"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return shortenTo(200, u.String())
}

// A redactor takes secrets out of what others answer: servers like to repeat
// what they refuse.
type redactor []string

// secretsOf are those of a request: values of headers, the password in its URL
// and the values of its query.
func secretsOf(address string, headers map[string]string) redactor {
	const shortest = 4 // less is no secret, and would be found in every sentence
	var found redactor
	for _, value := range headers {
		found = append(found, value)
		if _, credentials, ok := strings.Cut(value, " "); ok { // as in "Bearer …"
			found = append(found, credentials)
		}
	}
	if u, err := url.Parse(address); err == nil {
		password, _ := u.User.Password()
		found = append(found, password, u.User.String(), u.RawQuery, u.Fragment)
		for _, values := range u.Query() {
			found = append(found, values...)
		}
	}
	found = slices.DeleteFunc(found, func(s string) bool { return len(s) < shortest })
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // longer ones contain shorter ones
	return found
}

func (r redactor) hide(text string) string {
	for _, secret := range r {
		text = strings.ReplaceAll(text, secret, "(secret)")
	}
	return text
}
