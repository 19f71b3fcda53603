// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"net"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
	"github.com/tfdelivery/terraform-provider-delivery/internal/weburl"
)

// maxURL bounds a URL, in bytes.
const maxURL = 4096

// location is a URL taken apart.
type location struct {
	scheme string // "https", "http", "ssh", "git", "file"; "" for a local path
	user   string
	host   string // with its port, if it names one
	url    string // for git; a local path is absolute
}

func (l location) local() bool { return l.scheme == "" || l.scheme == "file" }

// CheckURL says what is wrong with a repository's URL; nil when it is good. A
// URL that carries credentials is refused: it would end in plans and state.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// remoteHelper is git's syntax for "run this program", such as ext::.
var remoteHelper = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9+.-]*::`)

func parseURL(raw string) (location, error) {
	const advice = "Use https://…, ssh://…, user@host:path, git://…, file://… or a path"
	switch {
	case raw == "":
		return location{}, errorf(Invalid, advice, "the repository's URL is empty")
	case len(raw) > maxURL:
		return location{}, errorf(Invalid, "", "the repository's URL has more than %d bytes", maxURL)
	case strings.HasPrefix(raw, "-"):
		return location{}, errorf(Invalid, advice, "the repository's URL begins with \"-\"")
	case strings.ContainsFunc(raw, unicode.IsControl):
		return location{}, errorf(Invalid, "", "the repository's URL contains a control character")
	case remoteHelper.MatchString(raw):
		return location{}, errorf(Invalid, advice, "the repository's URL names a remote helper, which could run any program")
	case strings.Contains(raw, "://"):
		return parseSchemeURL(raw, advice)
	}
	if user, host, ok := scpLike(raw); ok {
		return location{scheme: "ssh", user: user, host: host, url: raw}, nil
	}
	absolute, err := filepath.Abs(raw)
	if err != nil {
		return location{}, errorf(Invalid, "", "the repository's path %q: %v", raw, err)
	}
	return location{url: absolute}, nil
}

func parseSchemeURL(raw, advice string) (location, error) {
	u, err := url.Parse(raw)
	if err != nil { // its text may hold a password
		return location{}, errorf(Invalid, advice, "the repository's URL cannot be read")
	}
	const where = "Credentials belong in the provider's git block"
	_, password := u.User.Password()
	web := u.Scheme == "https" || u.Scheme == "http"
	switch {
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh" && u.Scheme != "git" && u.Scheme != "file":
		return location{}, errorf(Invalid, advice, "the repository's URL has an unknown scheme %q", u.Scheme)
	case password || web && u.User != nil:
		return location{}, errorf(Invalid, where, "the repository's URL contains credentials")
	case weburl.Credential(raw) != "":
		return location{}, errorf(Invalid, where, "the repository's URL has a credential in it (%s)", weburl.Credential(raw))
	case web && (u.RawQuery != "" || u.Fragment != ""):
		return location{}, errorf(Invalid, where, "the repository's URL has a query or a fragment")
	case u.Scheme != "file" && u.Hostname() == "":
		return location{}, errorf(Invalid, advice, "the repository's URL names no host")
	case u.Scheme == "file" && u.Host != "" && u.Host != "localhost":
		return location{}, errorf(Invalid, "Write file:///path, with three slashes", "the repository's URL names a host, and a file has none")
	case strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User.Username(), "-"):
		return location{}, errorf(Invalid, "", "the repository's URL has a host or user that begins with \"-\"")
	}
	return location{scheme: u.Scheme, user: u.User.Username(), host: u.Host, url: raw}, nil
}

// scpLike reads [user@]host:path as git does: the colon comes before any slash.
func scpLike(raw string) (user, host string, ok bool) {
	if runtime.GOOS == "windows" && len(raw) > 1 && raw[1] == ':' {
		return "", "", false
	}
	host = raw
	if before, after, found := strings.Cut(host, "@"); found && !strings.ContainsAny(before, "/:") {
		user, host = before, after
	}
	if strings.HasPrefix(host, "[") { // an IPv6 address, or host:port
		inside, after, found := strings.Cut(host[1:], "]")
		if !found || !strings.HasPrefix(after, ":") {
			return "", "", false
		}
		return user, inside, !strings.HasPrefix(inside, "-")
	}
	before, _, found := strings.Cut(host, ":")
	if !found || before == "" || strings.Contains(before, "/") || strings.HasPrefix(before, "-") || strings.HasPrefix(user, "-") {
		return "", "", false
	}
	return user, before, true
}

// hostOf gives the name in host or host:port.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// relativeURL resolves a submodule's URL that begins with ./ or ../ against its
// parent's, as git does.
func relativeURL(parent, raw string) string {
	base := strings.TrimRight(parent, "/")
	for {
		if rest, ok := strings.CutPrefix(raw, "./"); ok {
			raw = rest
			continue
		}
		rest, ok := strings.CutPrefix(raw, "../")
		if !ok {
			break
		}
		raw = rest
		cut := strings.LastIndex(base, "/")
		if cut < 0 {
			if cut = strings.LastIndex(base, ":"); cut < 0 {
				break
			}
			return base[:cut+1] + raw
		}
		base = base[:cut]
	}
	return base + "/" + raw
}

// checkPath says what is wrong with a sub-path of a repository.
func checkPath(sub string) error {
	switch {
	case sub == "":
		return nil
	case strings.ContainsFunc(sub, unicode.IsControl):
		return errorf(Invalid, "", "the path in the repository contains a control character")
	case path.IsAbs(sub) || path.Clean(sub) != strings.TrimSuffix(sub, "/") || sub == ".." || strings.HasPrefix(sub, "../"):
		return errorf(Invalid, "Write it relative to the repository's root, such as services/api", "the path %q in the repository is not a plain relative path", sub)
	}
	return nil
}
