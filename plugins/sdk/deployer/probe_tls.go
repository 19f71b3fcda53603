// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// probeTrust is whom a probe believes; the zero value believes anybody.
type probeTrust struct {
	name  string // that the certificate must be for; "": nothing is verified
	roots *x509.CertPool
	cas   []string // who may have signed it, in words
}

// trust reads what a probe of a host expects of its certificate.
func (t *ProbeTLS) trust(host string) (probeTrust, error) {
	if t == nil {
		return probeTrust{}, nil
	}
	trust := probeTrust{name: t.ServerName}
	if trust.name == "" {
		trust.name = loopbackIfEmpty(host)
	}
	if t.CA == "" {
		return trust, nil
	}
	trust.roots = x509.NewCertPool()
	for rest := []byte(t.CA); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return trust, invalidProbe("the CA holds a certificate that cannot be read: %v", err)
		}
		trust.roots.AddCert(ca)
		trust.cas = append(trust.cas, nameOf(ca.Subject.String()))
	}
	if len(trust.cas) == 0 {
		return trust, invalidProbe("the CA holds no certificate in PEM format")
	}
	return trust, nil
}

func (t probeTrust) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.name, RootCAs: t.roots,
		InsecureSkipVerify: t.name == "", //nolint:gosec // a probe that does not say whom to trust asks by address
	}
}

// refusal is why a certificate was refused, and what was expected; "" when err
// is something else.
func (t probeTrust) refusal(err error) string {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) {
		return ""
	}
	by := "a CA that this machine trusts"
	if len(t.cas) > 0 {
		by = "the CA " + listed(t.cas)
	}
	return fmt.Sprintf("its certificate is refused: %s. Expected is one for %q, signed by %s", whyRefused(refused), t.name, by)
}

func whyRefused(refused *tls.CertificateVerificationError) string {
	var name x509.HostnameError
	var signer x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(refused, &name):
		return "it is for " + namesOf(name.Certificate)
	case errors.As(refused, &signer) && len(refused.UnverifiedCertificates) > 0:
		return "it is signed by " + nameOf(refused.UnverifiedCertificates[0].Issuer.String())
	case errors.As(refused, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return fmt.Sprintf("%s is valid from %s to %s only", nameOf(invalid.Cert.Subject.String()),
			invalid.Cert.NotBefore.UTC().Format(time.DateTime), invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	}
	return strings.TrimPrefix(refused.Err.Error(), "x509: ")
}

func namesOf(c *x509.Certificate) string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, nameOf(name))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, nameOf(ip.String()))
	}
	if len(names) == 0 {
		return "no name"
	}
	return listed(names)
}

// nameOf quotes a name from a certificate, which may hold anything.
func nameOf(s string) string {
	const longest = 200
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func listed(names []string) string {
	const most = 5
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return strings.Join(names, " or ")
}
