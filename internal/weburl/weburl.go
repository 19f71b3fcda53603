// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package weburl keeps credentials that are part of a URL, as in one that was
// signed, out of plans, states, stores and messages.
package weburl

import (
	"net/url"
	"slices"
	"strings"
)

// Credential names the part of a URL's query or fragment that looks like a
// credential, such as X-Amz-Signature; "" when none does, and for what is no
// URL with a scheme and "://".
func Credential(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || !strings.Contains(raw, "://") {
		return ""
	}
	for _, part := range []string{u.RawQuery, u.EscapedFragment()} {
		for pair := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == '&' || r == ';' || r == '?' }) {
			key, _, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(key); err == nil {
				key = plain
			}
			if secret(key) {
				return key
			}
		}
	}
	return ""
}

// Public gives a URL without what is for its user only: password, query and
// fragment, and also the user unless it is one of SSH. What is no URL with a
// scheme and "://" comes back as it is; such a URL that cannot be read is "".
func Public(raw string) string {
	if !strings.Contains(raw, "://") {
		return raw // user@host:path or a path, which hold no password
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if _, password := u.User.Password(); password || u.Scheme != "ssh" {
		u.User = nil
	}
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	return u.String()
}

// Words at the end of a key, and whole keys, that promise a credential. They
// are in small letters, without what may stand between words.
var (
	endings = []string{"token", "signature", "password", "secret", "apikey", "credential"}
	keys    = []string{"sig", "sign", "auth", "authorization", "jwt", "pass", "passwd", "pwd", "accesskey", "privatekey"}
)

var separators = strings.NewReplacer("-", "", "_", "", ".", "", " ", "", "[", "", "]", "")

func secret(key string) bool {
	key = separators.Replace(strings.ToLower(key))
	return slices.Contains(keys, key) || slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(key, e) })
}
