// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// Location is a parsed location.
type Location struct {
	Directory string // absolute; empty for a registry
	Host      string // of a registry, with its port if it has one
	Prefix    string // of all repositories; may be empty
	// PlainHTTP lets the registry be spoken to without TLS.
	PlainHTTP bool
}

var (
	hostPattern   = lazyregexp.New(`^(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?$`)
	prefixPattern = lazyregexp.New(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	drivePattern  = lazyregexp.New(`^[a-zA-Z]:[\\/]`)
)

// ParseLocation tells a directory from a registry.
//
// A directory begins with ".", "/" or "~/" (or, on Windows, a drive or a
// backslash): ".delivery/store", "./store", "/srv/store". Relative ones are
// relative to the working directory.
//
// A registry is "host[:port][/prefix]", where the host has a dot or a port or
// is "localhost": "registry.acme.io/shop", "localhost:5000". It is spoken to
// over TLS; without it only where it is on this very machine, or where the
// location says so: "http://registry.lan:5000/shop". "https://" and "oci://"
// may be written and change nothing.
//
// Anything else could be either and is refused.
func ParseLocation(location string) (Location, error) {
	switch {
	case location == "":
		return Location{}, errors.New("the store is empty: name a directory such as ./store, or a registry such as registry.acme.io/shop")
	case len(location) > 1024 || !printable(location):
		return Location{}, errors.New("the store is too long or has characters that cannot be printed")
	case location == "~" || strings.HasPrefix(location, "~/"):
		home, err := os.UserHomeDir()
		if err != nil {
			return Location{}, fmt.Errorf("%q is below a home directory, and there is none: %w", location, err)
		}
		return Location{Directory: filepath.Join(home, location[1:])}, nil
	case strings.HasPrefix(location, ".") || strings.HasPrefix(location, "/") ||
		runtime.GOOS == "windows" && (drivePattern.MatchString(location) || strings.HasPrefix(location, `\`)):
		path, err := filepath.Abs(location)
		return Location{Directory: path}, err
	}
	return parseRegistry(location)
}

func parseRegistry(location string) (Location, error) {
	var at Location
	rest := location
	scheme, after, ok := strings.Cut(location, "://")
	if ok {
		rest = after
		switch scheme {
		case "http":
			at.PlainHTTP = true
		case "https", "oci":
		default:
			return Location{}, fmt.Errorf("the store's scheme %q is not known: write https, http or none at all", scheme)
		}
	}
	if before, _, found := strings.Cut(rest, "@"); found && !strings.Contains(before, "/") {
		return Location{}, errors.New("the store's location holds credentials: put them into a registry block instead")
	}
	host, prefix, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if !hostPattern.MatchString(host) {
		return Location{}, fmt.Errorf("%q is not the host of a registry", host)
	}
	if !ok && host != "localhost" && !strings.ContainsAny(host, ".:") {
		return Location{}, fmt.Errorf("%q is either a directory or a registry: write %q for the directory, or begin with the registry's full host name", location, "./"+location)
	}
	if prefix != "" && (len(prefix) > 180 || !prefixPattern.MatchString(prefix)) {
		return Location{}, fmt.Errorf("%q cannot be part of a repository's name: use lower-case letters, digits, and single . _ - between them", prefix)
	}
	at.Host, at.Prefix = host, prefix
	at.PlainHTTP = at.PlainHTTP || loopback(host)
	return at, nil
}

// loopback tells whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	u := url.URL{Host: host}
	h := strings.ToLower(u.Hostname())
	if h == "localhost" || strings.HasSuffix(h, ".localhost") {
		return true
	}
	ip := net.ParseIP(h)
	return ip != nil && ip.IsLoopback()
}

// String is the location as users would write it.
func (l Location) String() string {
	switch {
	case l.Directory != "":
		return l.Directory
	case l.PlainHTTP && !loopback(l.Host):
		return "http://" + l.path()
	}
	return l.path()
}

func (l Location) path() string {
	if l.Prefix == "" {
		return l.Host
	}
	return l.Host + "/" + l.Prefix
}

// repository is the pipeline's repository in the registry.
func (l Location) repository(pipeline string) (name.Repository, error) {
	options := []name.Option{name.StrictValidation}
	if l.PlainHTTP {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(l.Host, options...)
	if err != nil {
		return name.Repository{}, err
	}
	return registry.Repo(l.Prefix, pipeline), nil
}
