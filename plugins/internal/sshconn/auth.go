// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds the size of a key or certificate file, in bytes.
const maxKeyFile = 1 << 20

// credentials are the keys of one identity. What was read from the
// configuration and from files is read once; an agent is asked each time, since
// it may come, go and hang.
type credentials struct {
	id   identity
	mu   sync.Mutex
	read []ssh.Signer
}

// signers gives keys that sign as long as ctx lasts.
func (c *credentials) signers(ctx context.Context) ([]ssh.Signer, error) {
	signers, err := c.own()
	if err != nil {
		return nil, err
	}
	if c.id.agent {
		keys, err := agentKeys(ctx)
		if err != nil {
			return nil, err
		}
		signers = append(slices.Clip(signers), keys...)
	}
	if len(signers) == 0 {
		return nil, refused("there is no key to log in with", "Set private_key, private_key_file or agent in the ssh block of the provider.")
	}
	return signers, nil
}

// own gives the key that does not come from an agent, if there is one.
func (c *credentials) own() ([]ssh.Signer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.id
	if c.read != nil || id.key == "" && id.keyFile == "" {
		return c.read, nil
	}
	key, err := id.privateKey()
	if err == nil && (id.certificate != "" || id.certificateFile != "") {
		key, err = id.certify(key)
	}
	if err != nil {
		return nil, err
	}
	c.read = []ssh.Signer{key}
	return c.read, nil
}

func (id identity) privateKey() (ssh.Signer, error) {
	text, where := []byte(id.key), "private_key"
	if id.key == "" {
		where = "private_key_file " + id.keyFile
		var err error
		if text, err = readSmall(id.keyFile); err != nil {
			return nil, at(refused("the private key cannot be read: "+err.Error(), "Check private_key_file in the ssh block of the provider."), "private_key_file")
		}
	}
	var signer ssh.Signer
	var err error
	if id.passphrase != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(id.passphrase))
	} else {
		signer, err = ssh.ParsePrivateKey(text)
	}
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, at(refused("the private key is protected by a passphrase", "Set passphrase in the ssh block of the provider, or use agent."), "passphrase")
	case err != nil && id.passphrase != "":
		return nil, at(refused(where+" cannot be read with this passphrase: "+plainText(err), "Check private_key and passphrase in the ssh block of the provider."), "passphrase")
	case err != nil:
		return nil, at(refused(where+" holds no private key: "+plainText(err), "Give a private key in OpenSSH or PEM format, whole, with its first and last line."), "private_key")
	}
	return signer, nil
}

func (id identity) certify(key ssh.Signer) (ssh.Signer, error) {
	text := []byte(id.certificate)
	if id.certificate == "" {
		var err error
		if text, err = readSmall(id.certificateFile); err != nil {
			return nil, at(refused("the certificate cannot be read: "+err.Error(), "Check certificate_file in the ssh block of the provider."), "certificate_file")
		}
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	cert, ok := public.(*ssh.Certificate)
	if err != nil || !ok {
		return nil, at(refused("the certificate is none of SSH", "Give the content of an id_*-cert.pub file."), "certificate")
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		return nil, at(refused("the certificate belongs to another key than private_key", "Have the public key of private_key signed."), "certificate")
	}
	return signer, nil
}

func readSmall(path string) ([]byte, error) { return readLimited(path, maxKeyFile) }

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(expand(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d MiB", path, limit>>20)
	}
	return text, err
}

// unauthorized says which key was refused, for whom, and what the server would
// take.
func unauthorized(user, address string, signers []ssh.Signer, allowed []string) error {
	methods := "it did not say what it would take"
	if len(allowed) > 0 {
		methods = "it allows: " + strings.Join(allowed, ", ")
	}
	if len(allowed) > 0 && !slices.Contains(allowed, "publickey") {
		return refused(
			fmt.Sprintf("%s lets %s in only with a password (%s), which is not supported", address, user, methods),
			"Allow public keys on the server (PubkeyAuthentication yes) and add the public key to the user's authorized_keys.")
	}
	return refused(
		fmt.Sprintf("%s refused the key of %s: offered %s; %s", address, user, offered(signers), methods),
		"Add the public key to "+user+"'s authorized_keys on the host, or check user and private_key in the ssh block of the provider.")
}

// cutOff explains the end of a connection in the midst of a login.
func cutOff(user, address string, signers []ssh.Signer, err error) error {
	return refused(
		fmt.Sprintf("%s ended the login of %s: %s; offered %s", address, user, strings.TrimPrefix(plainText(err), "handshake failed: "), offered(signers)),
		"A server takes only a few keys (MaxAuthTries): set private_key or private_key_file to the one that it knows, or take others from the agent.")
}

func offered(signers []ssh.Signer) string {
	var keys []string
	for _, s := range signers {
		key := s.PublicKey()
		name := key.Type()
		if cert, ok := key.(*ssh.Certificate); ok {
			key = cert.Key
		}
		keys = append(keys, name+" "+ssh.FingerprintSHA256(key))
	}
	return strings.Join(keys, ", ")
}

func plainText(err error) string { return strings.TrimPrefix(err.Error(), "ssh: ") }
