// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Fleet is some hosts that one key opens.
type Fleet struct {
	Hosts   []*Host
	Bastion *Host // nil without BehindBastion

	User           string // login name on every host
	Key            KeyPair
	KeyFile        string  // the private key, mode 0600
	CA             KeyPair // user certificates signed by it are accepted
	KnownHosts     string  // one line per host, its ed25519 key
	KnownHostsFile string

	dir string
}

// FleetOption changes what NewFleet makes.
type FleetOption func(*fleetOptions)

type fleetOptions struct {
	loopback      bool
	behindBastion bool
	sshd          []string
	shell         string
	bashrc        string
	space         int64
	noKey         bool
}

// Loopback makes the hosts one sshd on 127.0.0.x: cheap, but they share the
// file system, the process tree, and the user who runs the test. Each has a
// directory of its own, [Host.Dir]. They cannot die or be cut off one by one.
func Loopback() FleetOption { return func(o *fleetOptions) { o.loopback = true } }

// BehindBastion puts the hosts on a network that only [Fleet.Bastion] reaches.
func BehindBastion() FleetOption { return func(o *fleetOptions) { o.behindBastion = true } }

// SSHD adds lines to every sshd_config. The first value of a keyword wins in
// that file, and these lines come first.
func SSHD(lines ...string) FleetOption {
	return func(o *fleetOptions) { o.sshd = append(o.sshd, lines...) }
}

// Bash makes bash the login shell, with this .bashrc. The default is /bin/sh.
func Bash(bashrc string) FleetOption {
	return func(o *fleetOptions) { o.shell, o.bashrc = "/bin/bash", bashrc }
}

// Space bounds /srv of every host to some bytes. Such a disk is lost when its
// host dies.
func Space(bytes int64) FleetOption { return func(o *fleetOptions) { o.space = bytes } }

// WithoutKey leaves the fleet's key out of authorized_keys, so that only a
// certificate of [Fleet.CA] opens the hosts.
func WithoutKey() FleetOption { return func(o *fleetOptions) { o.noKey = true } }

// NewFleet starts n hosts, named app-1 and on, each with a real sshd. Unless
// [Loopback] is given each has its own network address, process tree, /srv,
// /tmp, /home and users, so it can die, come back and be cut off without the others
// noticing; the login user is "deploy", who owns /srv.
func NewFleet(t testing.TB, n int, options ...FleetOption) *Fleet {
	t.Helper()
	var o fleetOptions
	for _, set := range options {
		set(&o)
	}
	if o.shell == "" {
		o.shell = "/bin/sh"
	}
	f := &Fleet{dir: t.TempDir(), Key: NewKeyPair(t, ""), CA: NewKeyPair(t, "")}
	f.KeyFile = filepath.Join(f.dir, "id")
	writeFile(t, f.KeyFile, f.Key.Private, 0o600)
	if o.loopback {
		f.startLoopback(t, n, o)
	} else {
		f.startIsolated(t, n, o)
	}
	var known strings.Builder
	for _, h := range append(f.Hosts[:len(f.Hosts):len(f.Hosts)], f.bastions()...) {
		known.WriteString(h.KnownHost() + "\n")
	}
	f.KnownHosts = known.String()
	f.KnownHostsFile = filepath.Join(f.dir, "known_hosts")
	writeFile(t, f.KnownHostsFile, f.KnownHosts, 0o644)
	return f
}

func (f *Fleet) bastions() []*Host {
	if f.Bastion == nil {
		return nil
	}
	return []*Host{f.Bastion}
}

// Certificate makes a key that only its certificate makes welcome.
func (f *Fleet) Certificate(t testing.TB) (key KeyPair, certificate string) {
	t.Helper()
	key = NewKeyPair(t, "")
	return key, key.Certify(t, f.CA, f.User)
}

// HCL is the provider's ssh block for this fleet.
func (f *Fleet) HCL() string {
	bastion := ""
	if f.Bastion != nil {
		bastion = fmt.Sprintf("  bastion {\n    host = %q\n  }\n", f.Bastion.IP)
	}
	return fmt.Sprintf("ssh {\n  user             = %q\n  private_key_file = %q\n  known_hosts_file = %q\n%s}\n",
		f.User, f.KeyFile, f.KnownHostsFile, bastion)
}

// HostsHCL is the value of a target's hosts attribute: the given hosts by
// name, or all of them.
func (f *Fleet) HostsHCL(hosts ...*Host) string {
	if len(hosts) == 0 {
		hosts = f.Hosts
	}
	var b strings.Builder
	b.WriteString("{")
	for _, h := range hosts {
		fmt.Fprintf(&b, " %s = %q,", h.Name, h.Address)
	}
	return strings.TrimSuffix(b.String(), ",") + " }"
}

// A Host is one machine of a fleet.
type Host struct {
	Name    string // app-1 and on, or bastion
	IP      string
	Port    int
	Address string // as a target's hosts has it: the IP, with ":port" unless that is 22
	Dir     string // where deployments of a test belong: /srv, or a directory of its own on Loopback

	hostKey KeyPair
	machine machine
}

// machine is what can be done to a host; how depends on the kind of fleet.
type machine interface {
	exec(command, stdin string) (string, error)
	kill() error
	start() error
	link(up bool) error
}

// KnownHost is the host's line for known_hosts.
func (h *Host) KnownHost() string { return h.KnownHostWith(h.hostKey) }

// KnownHostWith is such a line with another key: a wrong one.
func (h *Host) KnownHostWith(key KeyPair) string {
	name := h.IP
	if h.Port != 22 {
		name = "[" + h.IP + "]:" + strconv.Itoa(h.Port)
	}
	return name + " " + strings.Join(strings.Fields(key.Public)[:2], " ")
}

// Exec runs a shell command on the host, as root there, without SSH, and
// returns what it printed. The test fails if the command does.
func (h *Host) Exec(t testing.TB, command string) string {
	t.Helper()
	out, err := h.machine.exec(command, "")
	if err != nil {
		t.Fatalf("on %s: %s: %v\n%s", h.Name, command, err, out)
	}
	return out
}

// Try is Exec for a command that may fail.
func (h *Host) Try(command string) (string, error) { return h.machine.exec(command, "") }

// Write puts a file on the host.
func (h *Host) Write(t testing.TB, path, content string) {
	t.Helper()
	quoted := shellQuote(path)
	command := "mkdir -p $(dirname " + quoted + ") && cat >" + quoted
	if out, err := h.machine.exec(command, content); err != nil {
		t.Fatalf("write %s on %s: %v\n%s", path, h.Name, err, out)
	}
}

// Kill takes the power away: every process of the host dies, its disk stays.
func (h *Host) Kill(t testing.TB) {
	t.Helper()
	h.must(t, "kill", h.machine.kill())
}

// Start boots a killed host. It has the address and the key that it had.
func (h *Host) Start(t testing.TB) {
	t.Helper()
	h.must(t, "start", h.machine.start())
}

// CutOff takes the network away: connections hang, processes go on.
func (h *Host) CutOff(t testing.TB) {
	t.Helper()
	h.must(t, "cut off", h.machine.link(false))
}

// Restore gives the network back.
func (h *Host) Restore(t testing.TB) {
	t.Helper()
	h.must(t, "restore", h.machine.link(true))
}

func (h *Host) must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s %s: %v", what, h.Name, err)
	}
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func writeFile(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
