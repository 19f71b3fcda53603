// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package weburl_test

import (
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/weburl"
)

func TestCredential(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"?access_token=x": "access_token", "?a=1&token=x": "token", "?X-Amz-Date=1&X-Amz-Signature=x": "X-Amz-Signature",
		"?x-goog-signature=x": "x-goog-signature", "?X-Amz-Security-Token=x": "X-Amz-Security-Token", "?sv=1&sig=x": "sig", "?Signature=x": "Signature",
		"?password=x": "password", "?private_token": "private_token", "?a;token=x": "token", "?%74oken=x": "token", "?api-key=x": "api-key",
		"#access_token=x": "access_token", "#/?token=x": "token", "#?token=x": "token", "?client_secret=x": "client_secret", "?a=%zz&sig=1": "sig",
		"": "", "?version=1.2": "", "?file=token.tar": "", "?design=1&signed=no&tokens=3": "", "#readme": "",
	} {
		if got := weburl.Credential("https://files.acme.io/app.tar.gz" + query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, path := range []string{"/srv/a?token=x", "git@git.acme.io:a?token=x", "https://h/%zz?token=x"} {
		if got := weburl.Credential(path); got != "" {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://files.acme.io/a.tar.gz":            "https://files.acme.io/a.tar.gz",
		"https://files.acme.io/a%20b?sig=x#token=y": "https://files.acme.io/a%20b",
		"https://files.acme.io/a?":                  "https://files.acme.io/a",
		"https://ada:pw@files.acme.io/a":            "https://files.acme.io/a",
		"https://token@files.acme.io/a":             "https://files.acme.io/a",
		"ssh://git@git.acme.io:2222/shop.git":       "ssh://git@git.acme.io:2222/shop.git",
		"ssh://git:pw@git.acme.io/shop.git":         "ssh://git.acme.io/shop.git",
		"git@git.acme.io:shop.git":                  "git@git.acme.io:shop.git",
		"/srv/c#/shop.git":                          "/srv/c#/shop.git",
		"https://ada:pw@files.acme.io/%zz":          "",
		"":                                          "",
	} {
		if got := weburl.Public(raw); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

func FuzzPublic(f *testing.F) {
	f.Add("https://ada:pw@files.acme.io/a?sig=x#y")
	f.Fuzz(func(t *testing.T, raw string) {
		public := weburl.Public(raw)
		if strings.Contains(public, "://") && strings.ContainsAny(public, "?#") {
			t.Errorf("%q: %q", raw, public)
		}
		if weburl.Public(public) != public {
			t.Errorf("%q: %q changes again", raw, public)
		}
	})
}
