// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// symptoms are what git and ssh say, in the C locale, and what it means. The
// first that is found counts.
var symptoms = []struct {
	kind Kind
	text []string
}{
	{Refused, []string{"Host key verification failed", "Permission denied (", "Authentication failed", "could not read Username",
		"could not read Password", "terminal prompts disabled", "returned error: 401", "returned error: 403",
		"HTTP Basic: Access denied", "dubious ownership", "Too many authentication failures", "Load key "}},
	{NotFound, []string{"Repository not found", "not found", "does not appear to be a git repository", "does not exist",
		"returned error: 404", "No such file or directory", "not a git repository"}},
	{NoSuchRef, []string{"not our ref", "couldn't find remote ref"}},
	{Unreachable, []string{"Could not resolve host", "Couldn't resolve host", "Connection refused", "timed out", "Connection reset",
		"No route to host", "Network is unreachable", "Failed to connect", "Couldn't connect", "Connection closed", "unable to look up",
		"certificate", "SSL", "returned error: 5", "unable to access", "hung up", "early EOF", "RPC failed", "Could not resolve hostname"}},
}

// explain turns a failure of git into an error that says what to do.
func (r *Repository) explain(c command, err error, lines []string) error {
	e := errorf(Failed, "", "%s of %s: git failed", c.what, r.url)
	if len(lines) == 0 {
		lines = []string{err.Error()}
	}
	e.Log = lines
	if !c.online {
		return e
	}
	said := strings.Join(lines, "\n")
	for _, s := range symptoms {
		for _, text := range s.text {
			if strings.Contains(said, text) {
				e.Kind = s.kind
				e.Message, e.Advice = r.words(c, s.kind, said)
				return e
			}
		}
	}
	return e
}

func (r *Repository) words(c command, kind Kind, said string) (message, advice string) {
	prefix := c.what + " of " + r.url + ": "
	at, _ := parseURL(r.url)
	_, known := r.credentialsFor(at)
	switch kind {
	case Refused:
		switch {
		case strings.Contains(said, "Host key verification failed"):
			return prefix + "the server's host key is not the known one", "Add the right key to known_hosts, after checking it with the server's owner"
		case strings.Contains(said, "dubious ownership"):
			return prefix + "the repository belongs to another user", "Add it to git's safe.directory"
		case known:
			return prefix + "the server refused the credentials given for " + at.host, "Check the token or key of the provider's git block for this host, and its right to read"
		}
		return prefix + "the server asks for credentials, and none are given for " + at.host, "Add a git block for this host to the provider, with a token or a private key"
	case NotFound:
		if at.local() {
			return prefix + "there is no Git repository", "Check the path"
		}
		return prefix + "the server has no such repository, or hides it from these credentials", "Check the URL and the right to read"
	case NoSuchRef:
		return prefix + "the repository does not have it", "Check that it was pushed"
	case Unreachable:
		return prefix + "the server cannot be reached", "Check the URL, the network and the proxy"
	}
	return prefix + "git failed", ""
}

// userinfo finds credentials inside URLs, such as a server may echo.
var userinfo = lazyregexp.New(`(://)[^/@\s'"]+@`)

// redact takes every form of every credential out of a text.
func redact(text string, credentials []Credentials) string {
	for _, c := range credentials {
		for _, secret := range []string{c.Token, strings.TrimSpace(c.PrivateKey)} {
			if secret == "" {
				continue
			}
			forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret),
				base64.StdEncoding.EncodeToString([]byte(c.user() + ":" + secret)), base64.StdEncoding.EncodeToString([]byte(secret))}
			for _, form := range forms {
				text = strings.ReplaceAll(text, form, "[redacted]")
			}
		}
	}
	return userinfo.ReplaceAllString(text, "${1}")
}

// printable drops control characters and what is over the limit, in bytes.
func printable(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
