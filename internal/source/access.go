// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// tokenHelper is a credential helper in git's own syntax: a shell function that
// answers from the environment. Git asks it only for the host that its setting
// names, also after a redirect, and nothing is in a command line.
const tokenHelper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$DELIVERY_GIT_USERNAME" "$DELIVERY_GIT_TOKEN"; }; f`

// access is what one call of git may present to a server.
type access struct {
	env      []string
	settings []setting
	dir      string // holds a key while the call runs; "" when there is none
}

func (a *access) close() {
	if a.dir != "" {
		_ = os.RemoveAll(a.dir)
	}
}

// user is the name that goes with a token.
func (c Credentials) user() string {
	if c.Username != "" {
		return c.Username
	}
	return "x-access-token"
}

// credentialsFor finds those of a host; ones that name its port come first.
func (r *Repository) credentialsFor(at location) (Credentials, bool) {
	for _, want := range []string{at.host, hostOf(at.host)} {
		for _, c := range r.credentials {
			if want != "" && strings.EqualFold(c.Host, want) {
				return c, true
			}
		}
	}
	return Credentials{}, false
}

func (r *Repository) access() (*access, error) {
	at, err := parseURL(r.url)
	if err != nil {
		return nil, err
	}
	c, ok := r.credentialsFor(at)
	switch {
	case !ok:
		return &access{}, nil
	case (at.scheme == "https" || at.scheme == "http") && c.Token != "":
		return tokenAccess(at, c)
	case at.scheme == "ssh" && (c.PrivateKey != "" || c.KnownHosts != ""):
		return r.keyAccess(at, c)
	}
	return &access{}, nil
}

func tokenAccess(at location, c Credentials) (*access, error) {
	if at.scheme == "http" && !loopback(hostOf(at.host)) {
		return nil, errorf(Refused, "Use an https URL", "the token for %s would cross the network unencrypted over http", at.host)
	}
	if strings.ContainsAny(c.Token+c.Username, "\r\n\x00") {
		return nil, errorf(Invalid, "Remove it; a file's last newline is a common cause (trimspace)", "the token or username for %s contains a line break", c.Host)
	}
	return &access{
		env: []string{"DELIVERY_GIT_USERNAME=" + c.user(), "DELIVERY_GIT_TOKEN=" + c.Token},
		settings: []setting{
			{"credential.helper", ""}, // the user's own helpers would store our token
			{"credential." + at.scheme + "://" + at.host + ".helper", tokenHelper},
		},
	}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *Repository) keyAccess(at location, c Credentials) (_ *access, err error) {
	dir, err := os.MkdirTemp(r.dir, "ssh-")
	if err != nil {
		return nil, errorf(Failed, "", "make a directory for the SSH key: %v", err)
	}
	a := &access{dir: dir}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	options := []string{"ssh", "-o BatchMode=yes", "-o StrictHostKeyChecking=yes", "-o ConnectTimeout=20",
		"-o ServerAliveInterval=15", "-o ServerAliveCountMax=4", "-o UpdateHostKeys=no"}
	if c.PrivateKey != "" {
		key := strings.TrimSpace(strings.ReplaceAll(c.PrivateKey, "\r\n", "\n")) + "\n"
		if err := checkKey(c.Host, key); err != nil {
			return nil, err
		}
		file, err := secretFile(dir, "key", key)
		if err != nil {
			return nil, err
		}
		options = append(options, "-o IdentitiesOnly=yes", "-o IdentityAgent=none", "-i "+shellQuote(file))
	}
	if c.KnownHosts != "" {
		file, err := secretFile(dir, "known_hosts", strings.TrimSpace(c.KnownHosts)+"\n")
		if err != nil {
			return nil, err
		}
		options = append(options, "-o GlobalKnownHostsFile=/dev/null", "-o "+shellQuote(`UserKnownHostsFile="`+file+`"`))
	}
	if at.user == "" && c.Username != "" {
		if strings.ContainsAny(c.Username, "\"'\x00\r\n ") || strings.HasPrefix(c.Username, "-") {
			return nil, errorf(Invalid, "", "the username for %s is not one that SSH takes", c.Host)
		}
		options = append(options, "-o "+shellQuote("User="+c.Username))
	}
	a.env = []string{"GIT_SSH_COMMAND=" + strings.Join(options, " "), "GIT_SSH_VARIANT=ssh"}
	return a, nil
}

func checkKey(host, key string) error {
	_, err := ssh.ParseRawPrivateKey([]byte(key))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return errorf(Invalid, "Give a key without a passphrase, or use an agent", "the private key for %s has a passphrase", host)
	case err != nil:
		return errorf(Invalid, "Give the whole file, from -----BEGIN to END-----", "the private key for %s cannot be read", host)
	}
	return nil
}

// secretFile writes a 0600 file and gives its path.
func secretFile(dir, name, content string) (string, error) {
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", errorf(Failed, "", "write %s for SSH: %v", name, err)
	}
	return filepath.ToSlash(file), nil
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
