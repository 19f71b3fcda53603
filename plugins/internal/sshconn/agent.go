// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	agentTimeout = 5 * time.Second // to list keys
	// signTimeout leaves time for somebody to confirm, or to touch a token.
	signTimeout = time.Minute
)

// agentKeys are the keys of the agent, each of which asks it to sign, as long as
// ctx lasts.
func agentKeys(ctx context.Context) ([]ssh.Signer, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, at(refused("there is no SSH agent: SSH_AUTH_SOCK is not set", "Start an agent and add the key (ssh-add), or set private_key."), "agent")
	}
	var keys []*agent.Key
	err := askAgent(ctx, socket, agentTimeout, func(a agent.ExtendedAgent) (err error) {
		keys, err = a.List()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, at(refused("the SSH agent has no keys", "Add one with ssh-add."), "agent")
	}
	signers := make([]ssh.Signer, len(keys))
	for n, k := range keys {
		signers[n] = agentKey{ctx, socket, k}
	}
	return signers, nil
}

// askAgent makes one request on a connection of its own, so that one that hangs
// holds up no other.
func askAgent(ctx context.Context, socket string, timeout time.Duration, request func(agent.ExtendedAgent) error) error {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(bounded, "unix", socket)
	if err == nil {
		stop := context.AfterFunc(bounded, func() { _ = conn.Close() })
		err = request(agent.NewClient(conn))
		stop()
		_ = conn.Close()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled) && !errors.Is(context.Cause(ctx), errTooLong):
		return interrupted(ctx)
	case bounded.Err() != nil:
		return at(refused("the SSH agent does not answer in time", "Check the agent with ssh-add -l, or set private_key."), "agent")
	}
	return at(refused("the SSH agent does not answer: "+plainText(err), "Check SSH_AUTH_SOCK and ssh-add -l, or set private_key."), "agent")
}

// agentKey is a key that only the agent has.
type agentKey struct {
	ctx    context.Context
	socket string
	key    *agent.Key
}

var _ ssh.AlgorithmSigner = agentKey{}

func (k agentKey) PublicKey() ssh.PublicKey { return k.key }

func (k agentKey) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(random, data, "")
}

func (k agentKey) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	var signature *ssh.Signature
	err := askAgent(k.ctx, k.socket, signTimeout, func(a agent.ExtendedAgent) (err error) {
		signature, err = a.SignWithFlags(k.key, data, flags)
		return err
	})
	if err != nil {
		e := deployer.AsError(err)
		e.Message = fmt.Sprintf("%s, when it was to sign with %s", e.Message, ssh.FingerprintSHA256(k.key))
		return nil, e
	}
	return signature, nil
}
