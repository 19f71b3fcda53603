// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A KeyPair is an SSH key in the forms that its users want.
type KeyPair struct {
	Signer  ssh.Signer
	Private string // PEM, in OpenSSH's format
	Public  string // one line of authorized_keys, without its newline
}

// NewKeyPair makes an ed25519 key. With a passphrase the PEM is encrypted.
func NewKeyPair(t testing.TB, passphrase string) KeyPair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("make an SSH key: %v", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatalf("make an SSH key: %v", err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "testrig")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "testrig", []byte(passphrase))
	}
	if err != nil {
		t.Fatalf("write an SSH key: %v", err)
	}
	return KeyPair{
		Signer:  signer,
		Private: string(pem.EncodeToMemory(block)),
		Public:  publicLine(signer.PublicKey()),
	}
}

// Certify signs the key as a user certificate for a login name, valid for an
// hour, and returns its line.
func (k KeyPair) Certify(t testing.TB, ca KeyPair, login string) string {
	t.Helper()
	now := time.Now()
	certificate := &ssh.Certificate{
		Key:             k.Signer.PublicKey(),
		CertType:        ssh.UserCert,
		KeyId:           "testrig",
		ValidPrincipals: []string{login},
		ValidAfter:      uint64(now.Add(-time.Minute).Unix()),
		ValidBefore:     uint64(now.Add(time.Hour).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{
			"permit-pty": "", "permit-port-forwarding": "", "permit-agent-forwarding": "",
		}},
	}
	if err := certificate.SignCert(rand.Reader, ca.Signer); err != nil {
		t.Fatalf("sign an SSH certificate: %v", err)
	}
	return publicLine(certificate)
}

func publicLine(key ssh.PublicKey) string {
	line := ssh.MarshalAuthorizedKey(key)
	return string(line[:len(line)-1])
}
