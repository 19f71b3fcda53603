// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct{ scheme, user, host, wrong string }{
		"https://git.acme.io/shop.git":                {"https", "", "git.acme.io", ""},
		"https://git.acme.io:8443/shop.git":           {"https", "", "git.acme.io:8443", ""},
		"ssh://git@git.acme.io:2222/shop.git":         {"ssh", "git", "git.acme.io:2222", ""},
		"git@git.acme.io:team/shop.git":               {"ssh", "git", "git.acme.io", ""},
		"git.acme.io:shop.git":                        {"ssh", "", "git.acme.io", ""},
		"git@[::1]:shop.git":                          {"ssh", "git", "::1", ""},
		"git://git.acme.io/shop.git":                  {"git", "", "git.acme.io", ""},
		"file:///srv/git/shop.git":                    {"file", "", "", ""},
		"/srv/git/shop.git":                           {"", "", "", ""},
		"./shop":                                      {"", "", "", ""},
		"./a:b":                                       {"", "", "", ""},
		"":                                            {wrong: "is empty"},
		"-oProxyCommand=x":                            {wrong: "begins with"},
		"--upload-pack=x":                             {wrong: "begins with"},
		"ssh://-oProxyCommand=x/y":                    {wrong: "begins with"},
		"-x@host:path":                                {wrong: "begins with"},
		"ext::sh -c id":                               {wrong: "remote helper"},
		"fd::17":                                      {wrong: "remote helper"},
		"https://user:hunter2@git.acme.io/x":          {wrong: "contains credentials"},
		"https://ghp_hunter2@git.acme.io/x":           {wrong: "contains credentials"},
		"ssh://git:hunter2@git.acme.io/x":             {wrong: "contains credentials"},
		"https://git.acme.io/x?private_token=hunter2": {wrong: "a credential in it (private_token)"},
		"https://git.acme.io/x#access_token=hunter2":  {wrong: "a credential in it (access_token)"},
		"ssh://git@git.acme.io/x?token=hunter2":       {wrong: "a credential in it (token)"},
		"https://git.acme.io/x?depth=hunter2":         {wrong: "query"},
		"https://git.acme.io/%zz":                     {wrong: "cannot be read"},
		"https:///x":                                  {wrong: "names no host"},
		"file://host/x":                               {wrong: "three slashes"},
		"ftp://git.acme.io/x":                         {wrong: "unknown scheme"},
		"https://git.acme.io/\nx":                     {wrong: "control character"},
		"https://" + strings.Repeat("a", 5000):        {wrong: "more than"},
	} {
		at, err := parseURL(raw)
		if want.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), want.wrong) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: error is %v, want %q", raw, err, want.wrong)
			}
			continue
		}
		if err != nil || at.scheme != want.scheme || at.user != want.user || at.host != want.host {
			t.Errorf("%q is %+v, %v", raw, at, err)
		}
		if CheckURL(raw) != nil {
			t.Errorf("%q: %v", raw, CheckURL(raw))
		}
	}
}

func TestRelativeURLsOfSubmodules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ parent, raw, want string }{
		{"https://h/a/b.git", "../c.git", "https://h/a/c.git"},
		{"https://h/a/b.git/", "../../c.git", "https://h/c.git"},
		{"https://h/a/b.git", "./c", "https://h/a/b.git/c"},
		{"git@h:a/b.git", "../c.git", "git@h:a/c.git"},
		{"git@h:b.git", "../c.git", "git@h:c.git"},
	} {
		if got := relativeURL(c.parent, c.raw); got != c.want {
			t.Errorf("%s in %s is %s, want %s", c.raw, c.parent, got, c.want)
		}
	}
}

func TestVersionTags(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"v1.2.3": "1.2.3", "v0.0.0": "0.0.0", "1.2.3": "", "v1.2": "", "v01.2.3": "", "v1.2.3-rc.1": "", "v1.2.3\n": "", "v9999999999.0.0": "",
	} {
		if got, ok := VersionOf(tag); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", tag, got, ok)
		}
	}
}

func TestGitsWordsAreRedacted(t *testing.T) {
	t.Parallel()
	c := []Credentials{{Host: "h", Token: "t0k/en+x", PrivateKey: "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"}}
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:t0k/en+x"))
	text := "fatal: t0k/en+x t0k%2Fen%2Bx " + basic + " https://u:p@h/x " + strings.TrimSpace(c[0].PrivateKey)
	got := redact(text, c)
	for _, secret := range []string{"t0k", basic, "u:p", "abc"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
	}
}

func TestAListingIsBounded(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("a", 40) + "\trefs/heads/" + strings.Repeat("b", 900) + "\n"
	_, err := parseRefs(strings.NewReader(strings.Repeat(line, maxRefsBytes/len(line)+2)))
	if err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("error is %v", err)
	}
}

func FuzzParseRefs(f *testing.F) {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	f.Add([]byte(a + "\trefs/heads/main\n" + a + "\trefs/tags/v1\n" + b + "\trefs/tags/v1^{}\n"))
	f.Add([]byte("warning: hello\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		refs, err := parseRefs(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, names := range []map[string]string{refs.Branches, refs.Tags} {
			for name, sha := range names {
				if !isSHA(sha) || !goodName(name) {
					t.Errorf("%q is %q", name, sha)
				}
				if commit, _, err := refs.Resolve(name); err == nil && !isSHA(commit) {
					t.Errorf("%q resolves to %q", name, commit)
				}
			}
		}
	})
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte(strings.Repeat("a", 40) + "\x00Ada\x001700000000\x00A subject\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		commits, _ := parseLog(data)
		for _, c := range commits {
			if !isSHA(c.SHA) || strings.ContainsAny(c.Subject+c.Author, "\n\x00\x1b") || len(c.Subject) > maxSubject+8 {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://h/x", "git@h:x", "ext::x", "-x", "/x", "[::1]:x", "ssh://u:p@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		at, err := parseURL(raw)
		if err == nil && (strings.HasPrefix(at.url, "-") || strings.HasPrefix(at.host, "-") || strings.HasPrefix(at.user, "-")) {
			t.Errorf("%q gives %+v", raw, at)
		}
	})
}
