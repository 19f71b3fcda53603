// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
)

// startLoopback starts one sshd on 127.0.0.1 and on, the fleet's addresses.
func (f *Fleet) startLoopback(t testing.TB, n int, o fleetOptions) {
	t.Helper()
	needSSHD(t)
	if o.behindBastion || o.space > 0 || o.shell != "/bin/sh" {
		t.Fatal("Loopback hosts share this machine: no bastion, no bounded disk, no other shell")
	}
	if n > 250 {
		t.Fatal("Loopback has 250 hosts at most")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatalf("sshd wants /run/sshd: %v", err)
	}
	f.User = me.Username
	key := NewKeyPair(t, "")
	port := freePort(t)
	files := sshdFiles{dir: filepath.Join(f.dir, "sshd"), seen: filepath.Join(f.dir, "sshd"), port: port, login: f.User}
	files.write(t, f, key, o)
	server, err := startDaemon(exec.Command(sshdProgram, "-D", "-e", "-f", filepath.Join(files.dir, "sshd_config")), "Server listening")
	if err != nil {
		t.Fatalf("start sshd: %v", err)
	}
	t.Cleanup(func() {
		server.kill()
		server.showOnFailure(t, "sshd")
	})
	for i := range n {
		h := &Host{Name: fmt.Sprintf("app-%d", i+1), IP: fmt.Sprintf("127.0.0.%d", i+1), Port: port, hostKey: key}
		h.Address = net.JoinHostPort(h.IP, strconv.Itoa(port))
		h.Dir = filepath.Join(f.dir, h.Name)
		if err := os.Mkdir(h.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		h.machine = sharedMachine{}
		f.Hosts = append(f.Hosts, h)
	}
}

// sharedMachine is the machine that the test runs on.
type sharedMachine struct{}

var errShared = errors.New("loopback hosts are one machine; use a fleet without Loopback")

func (sharedMachine) exec(command, stdin string) (string, error) {
	return runHostCommand(exec.Command("/bin/sh", "-c", command), stdin)
}
func (sharedMachine) kill() error     { return errShared }
func (sharedMachine) start() error    { return errShared }
func (sharedMachine) link(bool) error { return errShared }
