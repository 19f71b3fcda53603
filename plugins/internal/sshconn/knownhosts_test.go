// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the format of hashed host names
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func newKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

func hashed(name string) string {
	salt := []byte("0123456789abcdefghij")
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return "|1|" + base64.StdEncoding.EncodeToString(salt) + "|" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestKnownHostsNames(t *testing.T) {
	t.Parallel()
	signer, key := newKey(t)
	for _, c := range []struct {
		entry string
		host  string
		port  int
		known bool
	}{
		{"app.example.com", "app.example.com", 22, true},
		{"APP.example.com", "App.Example.com", 22, true},
		{"app.example.com", "app.example.com", 2222, false},
		{"[app.example.com]:2222", "app.example.com", 2222, true},
		{"a,10.0.0.1,b", "10.0.0.1", 22, true},
		{"*.example.com", "app.example.com", 22, true},
		{"*.example.com,!bad.example.com", "bad.example.com", 22, false},
		{"app-?", "app-1", 22, true},
		{"app-?", "app-12", 22, false},
		{hashed("app-1"), "app-1", 22, true},
		{hashed("[app-1]:2222"), "app-1", 2222, true},
		{hashed("app-1"), "app-2", 22, false},
		{"[::1]:2222", "::1", 2222, true},
	} {
		db, err := ParseKnownHosts([]byte("# a comment\n\ngarbage\n" + c.entry + " " + key + " comment\n"))
		if err != nil {
			t.Fatal(err)
		}
		err = db.Check(c.host, c.port, signer.PublicKey())
		if (err == nil) != c.known {
			t.Errorf("%s for %s:%d: %v", c.entry, c.host, c.port, err)
		}
		if algorithms := db.Algorithms(c.host, c.port); slices.Equal(algorithms, []string{ssh.KeyAlgoED25519}) != c.known {
			t.Errorf("%s for %s:%d: algorithms %v", c.entry, c.host, c.port, algorithms)
		}
	}
}

func TestWrongUnknownAndRevokedKeys(t *testing.T) {
	t.Parallel()
	good, goodKey := newKey(t)
	bad, badKey := newKey(t)
	check := func(known string, shown ssh.Signer, parts ...string) {
		t.Helper()
		db, err := ParseKnownHosts([]byte(known))
		if err != nil {
			t.Fatal(err)
		}
		e := deployer.AsError(db.Check("app-1", 2222, shown.PublicKey()))
		if e == nil || e.Code != deployer.CodeRefused {
			t.Fatalf("error %v", e)
		}
		for _, p := range parts {
			if !strings.Contains(e.Message+e.Advice, p) {
				t.Errorf("the error lacks %q: %s\n%s", p, e.Message, e.Advice)
			}
		}
	}
	check("[app-1]:2222 "+goodKey, bad, ssh.FingerprintSHA256(good.PublicKey()), ssh.FingerprintSHA256(bad.PublicKey()), "[app-1]:2222 "+badKey)
	check("other "+goodKey, bad, "not in known_hosts", ssh.FingerprintSHA256(bad.PublicKey()), "[app-1]:2222 "+badKey)
	check("[app-1]:2222 "+goodKey+"\n@revoked * "+goodKey, good, "revoked")
}

func TestHostCertificates(t *testing.T) {
	t.Parallel()
	authority, authorityKey := newKey(t)
	other, _ := newKey(t)
	host, _ := newKey(t)
	certify := func(by ssh.Signer, kind uint32, principal string, end time.Time) *ssh.Certificate {
		c := &ssh.Certificate{Key: host.PublicKey(), CertType: kind, ValidPrincipals: []string{principal}, ValidBefore: uint64(end.Unix())}
		if err := c.SignCert(rand.Reader, by); err != nil {
			t.Fatal(err)
		}
		return c
	}
	db, err := ParseKnownHosts([]byte("@cert-authority *.example.com " + authorityKey))
	if err != nil {
		t.Fatal(err)
	}
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		cert *ssh.Certificate
		host string
		good bool
	}{
		"good":             {certify(authority, ssh.HostCert, "a.example.com", soon), "a.example.com", true},
		"another host":     {certify(authority, ssh.HostCert, "b.example.com", soon), "a.example.com", false},
		"expired":          {certify(authority, ssh.HostCert, "a.example.com", past), "a.example.com", false},
		"of a user":        {certify(authority, ssh.UserCert, "a.example.com", soon), "a.example.com", false},
		"by somebody else": {certify(other, ssh.HostCert, "a.example.com", soon), "a.example.com", false},
		"elsewhere":        {certify(authority, ssh.HostCert, "a.example.org", soon), "a.example.org", false},
	} {
		if err := db.Check(c.host, 22, c.cert); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := db.Algorithms("a.example.com", 22); !slices.Contains(got, ssh.CertAlgoED25519v01) {
		t.Errorf("algorithms %v", got)
	}
	revoked, err := ParseKnownHosts([]byte("@cert-authority *.example.com " + authorityKey + "\n@revoked * " + authorityKey))
	if err != nil {
		t.Fatal(err)
	}
	if revoked.Check("a.example.com", 22, certify(authority, ssh.HostCert, "a.example.com", soon)) == nil {
		t.Error("a certificate of a revoked authority was accepted")
	}
}

func FuzzKnownHosts(f *testing.F) {
	signer, key := newKey(f)
	f.Add("app-1 "+key, "app-1")
	f.Add(hashed("app-1")+" "+key+"\n@revoked * "+key, "app-1")
	f.Add("|1|a|b "+key+"\n@cert-authority *,!?x "+key, "::1")
	f.Add("a*a*a*a*a*a*a*b "+key, strings.Repeat("a", 200))
	f.Fuzz(func(t *testing.T, content, host string) {
		db, err := ParseKnownHosts([]byte(content))
		if err != nil {
			return
		}
		_ = db.Algorithms(host, 22)
		err = db.Check(host, 22, signer.PublicKey())
		if err == nil && !strings.Contains(content, strings.Fields(key)[1]) {
			t.Errorf("a key that is not there was accepted by %q", content)
		}
	})
}

func FuzzSplitAddress(f *testing.F) {
	for _, s := range []string{"a", "a:1", "[::1]:22", "::1", "[::1]", "a:", ":1", "a b", "a:70000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, err := SplitAddress(text, 22)
		if err == nil && (host == "" || port < 1 || port > 65535 || strings.ContainsAny(host, " \n")) {
			t.Errorf("%q gives %q and %d", text, host, port)
		}
	})
}
