// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format of hashed host names
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// maxKnownHosts bounds a known_hosts file, in bytes.
const maxKnownHosts = 16 << 20

// KnownHosts is what a known_hosts file says, in the format of sshd(8): plain
// and hashed names, patterns, ports, certificate authorities, revoked keys.
type KnownHosts struct {
	lines []knownLine
}

type knownLine struct {
	marker   string // "", "cert-authority" or "revoked"
	patterns []string
	key      ssh.PublicKey
}

// ParseKnownHosts reads the content of a known_hosts file. Lines that ssh would
// ignore are ignored.
func ParseKnownHosts(content []byte) (*KnownHosts, error) {
	if len(content) > maxKnownHosts {
		return nil, fmt.Errorf("known_hosts is larger than %d MiB", maxKnownHosts>>20)
	}
	db := &KnownHosts{}
	for line := range bytes.Lines(content) {
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
		if err != nil {
			continue
		}
		db.lines = append(db.lines, knownLine{marker: marker, patterns: hosts, key: key})
	}
	return db, nil
}

// Empty says that nothing is trusted.
func (db *KnownHosts) Empty() bool { return len(db.lines) == 0 }

// Algorithms lists the host key algorithms to offer to a host, so that it shows
// a key that is known here; nil when nothing is known of it.
func (db *KnownHosts) Algorithms(host string, port int) []string {
	var certs, plain []string
	add := func(to *[]string, algorithms ...string) {
		for _, a := range algorithms {
			if !slices.Contains(*to, a) {
				*to = append(*to, a)
			}
		}
	}
	for _, l := range db.lines {
		if !l.matches(host, port) {
			continue
		}
		switch l.marker {
		case "cert-authority":
			add(&certs, ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01,
				ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01)
		case "":
			if l.key.Type() == ssh.KeyAlgoRSA {
				add(&plain, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
				continue
			}
			add(&plain, l.key.Type())
		}
	}
	return append(certs, plain...)
}

// Check judges the key that a host showed.
func (db *KnownHosts) Check(host string, port int, shown ssh.PublicKey) error {
	for _, l := range db.lines {
		if l.marker == "revoked" && bytes.Equal(l.key.Marshal(), signedBy(shown).Marshal()) && l.matches(host, port) ||
			l.marker == "revoked" && bytes.Equal(l.key.Marshal(), plainKey(shown).Marshal()) && l.matches(host, port) {
			return refused("the key that "+host+" shows ("+ssh.FingerprintSHA256(plainKey(shown))+") is marked as revoked in known_hosts",
				"Somebody may be posing as the host. Do not connect before its administrator has given it a new key.")
		}
	}
	if cert, ok := shown.(*ssh.Certificate); ok {
		return db.checkCertificate(host, port, cert)
	}
	var known []ssh.PublicKey
	for _, l := range db.lines {
		if l.marker != "" || !l.matches(host, port) {
			continue
		}
		if bytes.Equal(l.key.Marshal(), shown.Marshal()) {
			return nil
		}
		known = append(known, l.key)
	}
	name := Entry(host, port)
	line := name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(shown)))
	if len(known) == 0 {
		return refused(
			fmt.Sprintf("the host %s is not in known_hosts; it shows a key of type %s with the fingerprint %s", name, shown.Type(), ssh.FingerprintSHA256(shown)),
			"Compare the fingerprint with what the host's administrator says (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub on the host), then add this line to known_hosts:\n"+line)
	}
	var expected []string
	for _, k := range known {
		expected = append(expected, fmt.Sprintf("%s %s", k.Type(), ssh.FingerprintSHA256(k)))
	}
	return refused(
		fmt.Sprintf("the host %s shows another key than known_hosts has: it shows %s %s, known_hosts has %s",
			name, shown.Type(), ssh.FingerprintSHA256(shown), strings.Join(expected, ", ")),
		"Either the host was made anew, or somebody is posing as it. Only if its administrator confirms the new fingerprint, replace its line in known_hosts by:\n"+line)
}

func (db *KnownHosts) checkCertificate(host string, port int, cert *ssh.Certificate) error {
	checker := ssh.CertChecker{
		IsHostAuthority: func(authority ssh.PublicKey, _ string) bool {
			return slices.ContainsFunc(db.lines, func(l knownLine) bool {
				return l.marker == "cert-authority" && l.matches(host, port) && bytes.Equal(l.key.Marshal(), authority.Marshal())
			})
		},
	}
	if cert.CertType != ssh.HostCert {
		return refused("the certificate that "+host+" shows is none of a host", "Give the host a host certificate (ssh-keygen -h).")
	}
	if !checker.IsHostAuthority(cert.SignatureKey, "") {
		return refused(
			fmt.Sprintf("the host %s shows a certificate signed by %s, which is no authority for it in known_hosts", Entry(host, port), ssh.FingerprintSHA256(cert.SignatureKey)),
			"If its administrator confirms that authority, add this line to known_hosts:\n@cert-authority "+Entry(host, port)+" "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(cert.SignatureKey))))
	}
	if err := checker.CheckCert(host, cert); err != nil {
		return refused("the certificate of "+host+" is not valid: "+strings.TrimPrefix(err.Error(), "ssh: "),
			"Have the host's certificate renewed, with "+host+" among its principals.")
	}
	return nil
}

func plainKey(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

func signedBy(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.SignatureKey
	}
	return key
}

// Entry is a host's name as known_hosts writes it.
func Entry(host string, port int) string {
	if port == 22 {
		return strings.ToLower(host)
	}
	return fmt.Sprintf("[%s]:%d", strings.ToLower(host), port)
}

func (l knownLine) matches(host string, port int) bool {
	names := []string{Entry(host, port)}
	if ip := net.ParseIP(host); ip != nil && ip.String() != strings.ToLower(host) {
		names = append(names, Entry(ip.String(), port))
	}
	found := false
	for _, pattern := range l.patterns {
		negated := strings.HasPrefix(pattern, "!")
		pattern = strings.TrimPrefix(pattern, "!")
		for _, name := range names {
			if !matchHost(pattern, name) {
				continue
			}
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

func matchHost(pattern, name string) bool {
	if rest, ok := strings.CutPrefix(pattern, "|1|"); ok {
		salt64, hash64, ok := strings.Cut(rest, "|")
		if !ok {
			return false
		}
		salt, err1 := base64.StdEncoding.DecodeString(salt64)
		hash, err2 := base64.StdEncoding.DecodeString(hash64)
		if err1 != nil || err2 != nil {
			return false
		}
		mac := hmac.New(sha1.New, salt)
		mac.Write([]byte(name))
		return hmac.Equal(mac.Sum(nil), hash)
	}
	return wild(strings.ToLower(pattern), name)
}

// wild matches * and ?, in time linear in both for the patterns that occur.
func wild(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n] && pattern[p] != '*'):
			p++
			n++
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func refused(message, advice string) *deployer.Error {
	return &deployer.Error{Code: deployer.CodeRefused, Step: "connect", Message: message, Advice: advice}
}
