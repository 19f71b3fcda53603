// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = signed(t, template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// signed makes a certificate; without an authority it signs itself.
func signed(t *testing.T, template *x509.Certificate, by *authority) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// certificate is for names, which may be addresses, until a time.
func (a *authority) certificate(until time.Time, names ...string) tls.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "app"}, NotBefore: until.Add(-2 * time.Hour), NotAfter: until,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, key := signed(a.t, template, a)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsCase is a certificate that a server shows, what a probe expects, and how
// it ends.
type tlsCase struct {
	shows tls.Certificate
	tls   *deployer.ProbeTLS
	want  deployer.CheckStatus
	says  []string
}

func tlsCases(t *testing.T) map[string]tlsCase {
	t.Helper()
	ours, other := newAuthority(t, "Our CA"), newAuthority(t, "Other CA")
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	named := ours.certificate(later, "app.example.com")
	expect := func(name string) *deployer.ProbeTLS {
		return &deployer.ProbeTLS{ServerName: name, CA: "A comment.\n" + ours.pem}
	}
	refused := func(more ...string) []string {
		return append(more, "certificate is refused", `signed by the CA "CN=Our CA"`)
	}
	return map[string]tlsCase{
		"good":          {named, expect("app.example.com"), deployer.CheckPass, nil},
		"by address":    {ours.certificate(later, "127.0.0.1"), expect(""), deployer.CheckPass, nil},
		"not verified":  {other.certificate(before, "x"), nil, deployer.CheckPass, nil},
		"wrong name":    {named, expect("www.example.com"), deployer.CheckFail, refused(`it is for "app.example.com"`, `for "www.example.com"`)},
		"wrong address": {named, expect(""), deployer.CheckFail, refused(`for "127.0.0.1"`)},
		"no name":       {ours.certificate(later), expect("app.example.com"), deployer.CheckFail, refused("it is for no name")},
		"other CA":      {other.certificate(later, "app.example.com"), expect("app.example.com"), deployer.CheckFail, refused(`it is signed by "CN=Other CA"`)},
		"expired":       {ours.certificate(before, "app.example.com"), expect("app.example.com"), deployer.CheckFail, refused(`"CN=app" is valid from`)},
		"not of this machine": {
			named, &deployer.ProbeTLS{ServerName: "app.example.com"}, deployer.CheckFail,
			[]string{"certificate is refused", "signed by a CA that this machine trusts"},
		},
		"several CAs": {
			named, &deployer.ProbeTLS{ServerName: "app.example.com", CA: other.pem + ours.pem}, deployer.CheckPass, nil,
		},
	}
}

func TestHTTPSProbe(t *testing.T) {
	t.Parallel()
	for name, c := range tlsCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(app))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{c.shows}, MinVersion: tls.VersionTLS12}
			server.Config.ErrorLog = silent
			server.StartTLS()
			t.Cleanup(server.Close)
			_, port := listening(server.Listener.Addr())
			got := probe(t, deployer.Probe{HTTP: &deployer.HTTPProbe{Scheme: "https", Port: port, TLS: c.tls}})
			wantResult(t, got, c.want, append(c.says, "GET https://127.0.0.1")...)
		})
	}
}

func TestHTTPOfATLSServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(app))
	server.Config.ErrorLog = silent
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port := listening(server.Listener.Addr())
	wantResult(t, probe(t, deployer.Probe{HTTP: &deployer.HTTPProbe{Port: port}}), deployer.CheckFail, "400")
}
