// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package sshconn makes SSH connections as deployers need them: the host key
// always checked against known_hosts, authentication by key, certificate or
// agent, one connection kept per host, many dialled at once without offending
// the servers, through a bastion where there is one, and errors that say what
// was refused and what to do.
package sshconn

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// Config is the provider's ssh block.
type Config struct {
	User            string   `json:"user,omitempty" doc:"User to log in as. Default: the user who runs Terraform."`
	Port            int      `json:"port,omitempty" doc:"Port of hosts that do not name one." default:"22" delivery:"min=1,max=65535"`
	PrivateKey      string   `json:"private_key,omitempty" doc:"Private key, in OpenSSH or PEM format." delivery:"sensitive"`
	PrivateKeyFile  string   `json:"private_key_file,omitempty" doc:"File that holds the private key." delivery:"format=path"`
	Passphrase      string   `json:"passphrase,omitempty" doc:"Passphrase of the private key." delivery:"sensitive"`
	Certificate     string   `json:"certificate,omitempty" doc:"Certificate of the private key, signed by a user CA, in the form of an id_*-cert.pub file."`
	CertificateFile string   `json:"certificate_file,omitempty" doc:"File that holds the certificate." delivery:"format=path"`
	Agent           bool     `json:"agent,omitempty" doc:"Use the keys of the SSH agent that SSH_AUTH_SOCK names."`
	KnownHosts      string   `json:"known_hosts,omitempty" doc:"Host keys to trust, as the content of a known_hosts file. This or known_hosts_file is needed: a host is never trusted on first use."`
	KnownHostsFile  string   `json:"known_hosts_file,omitempty" doc:"A known_hosts file with the host keys to trust." delivery:"format=path"`
	ConnectTimeout  string   `json:"connect_timeout,omitempty" doc:"Time for one connection, with its authentication." default:"10s" delivery:"format=duration"`
	Bastion         *Bastion `json:"bastion,omitempty" doc:"Connect to the hosts through this one."`
}

// Bastion is a host that the connections go through. What it does not say is
// as for the hosts; its host key is checked against the same known_hosts.
type Bastion struct {
	Host            string `json:"host" doc:"Name or address of the bastion." delivery:"required,format=hostport"`
	Port            int    `json:"port,omitempty" doc:"Port of the bastion. Default: that of the address, else 22." delivery:"min=1,max=65535"`
	User            string `json:"user,omitempty" doc:"User to log in as on the bastion. Default: that of the hosts."`
	PrivateKey      string `json:"private_key,omitempty" doc:"Private key for the bastion. Default: that of the hosts." delivery:"sensitive"`
	PrivateKeyFile  string `json:"private_key_file,omitempty" doc:"File that holds the private key for the bastion." delivery:"format=path"`
	Passphrase      string `json:"passphrase,omitempty" doc:"Passphrase of the private key for the bastion." delivery:"sensitive"`
	Certificate     string `json:"certificate,omitempty" doc:"Certificate of the private key for the bastion."`
	CertificateFile string `json:"certificate_file,omitempty" doc:"File that holds the certificate for the bastion." delivery:"format=path"`
}

// identity is who logs in, and with what.
type identity struct {
	user                         string
	key, keyFile, passphrase     string
	certificate, certificateFile string
	agent                        bool
}

func (c Config) identity() identity {
	return identity{
		user: c.User, key: c.PrivateKey, keyFile: c.PrivateKeyFile, passphrase: c.Passphrase,
		certificate: c.Certificate, certificateFile: c.CertificateFile, agent: c.Agent,
	}
}

func (b Bastion) identity(hosts identity) identity {
	id := hosts
	if b.User != "" {
		id.user = b.User
	}
	if b.PrivateKey != "" || b.PrivateKeyFile != "" {
		id = identity{
			user: id.user, key: b.PrivateKey, keyFile: b.PrivateKeyFile, passphrase: b.Passphrase,
			certificate: b.Certificate, certificateFile: b.CertificateFile,
		}
	}
	return id
}

// whoami is the user who runs this process.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		name := u.Username
		return name[strings.LastIndexByte(name, '\\')+1:]
	}
	return "root"
}

// expand reads a leading ~/ as the home directory.
func expand(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}
