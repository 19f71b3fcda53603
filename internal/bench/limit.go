// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// limitArgument makes this program the limit: the least that any tool has to
// do. It is a process of its own, as the tools are.
const limitArgument = "limit"

// limitTime bounds one run of it.
const limitTime = 2 * time.Minute

// limit puts a tar on every host at once: one connection and one command
// each, which unpacks it and switches to it atomically. Its arguments are the
// user, the key's file, the known_hosts file, the tar, the directory on the
// hosts, and their addresses.
func limit(arguments []string) error {
	if len(arguments) < 6 {
		return errors.New("usage: limit USER KEY KNOWN_HOSTS ARCHIVE DIRECTORY ADDRESS...")
	}
	ctx, cancel := context.WithTimeout(context.Background(), limitTime)
	defer cancel()
	user, keyFile, knownFile, archive, dir, addresses := arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5:]
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return err
	}
	known, err := knownhosts.New(knownFile)
	if err != nil {
		return err
	}
	app, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	config := &ssh.ClientConfig{
		User:              user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback:   known,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		Config:            ssh.Config{Ciphers: []string{"aes128-gcm@openssh.com"}},
	}
	command := fmt.Sprintf("set -e; mkdir -p '%[1]s/releases/1'; tar -xf - -C '%[1]s/releases/1'; ln -s releases/1 '%[1]s/.next'; mv -T '%[1]s/.next' '%[1]s/current'", dir)
	errs := make([]error, len(addresses))
	var group sync.WaitGroup
	for i, address := range addresses {
		group.Go(func() { errs[i] = place(ctx, config, address, command, app) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func place(ctx context.Context, config *ssh.ClientConfig, address, command string, app []byte) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	transport, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return fmt.Errorf("%s: %w", address, err)
	}
	client := ssh.NewClient(transport, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	var output bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(app), &output, &output
	if err := session.Run(command); err != nil {
		return fmt.Errorf("%s: %w: %s", address, err, output.String())
	}
	return nil
}
