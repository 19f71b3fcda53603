// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig_test

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// login opens a session as a deployer would: checked host key, public key.
func login(f *testrig.Fleet, h *testrig.Host, auth ssh.AuthMethod) (*ssh.Client, error) {
	check, err := knownhosts.New(f.KnownHostsFile)
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", net.JoinHostPort(h.IP, strconv.Itoa(h.Port)), &ssh.ClientConfig{
		User: f.User, Auth: []ssh.AuthMethod{auth}, HostKeyCallback: check,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 3 * time.Second,
	})
}

func run(t *testing.T, f *testrig.Fleet, h *testrig.Host, command string) string {
	t.Helper()
	client, err := login(f, h, ssh.PublicKeys(f.Key.Signer))
	if err != nil {
		t.Fatalf("log in to %s: %v", h.Name, err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestHostsAreMachinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 3)
	for _, h := range f.Hosts {
		if got := run(t, f, h, "hostname; whoami; ps -e | wc -l; ls /srv; echo "+h.Name+" >/srv/name; exit 0"); !strings.HasPrefix(got, h.Name+"\ndeploy\n") {
			t.Errorf("%s answers %q", h.Name, got)
		}
	}
	for _, h := range f.Hosts {
		if got := run(t, f, h, "cat /srv/name"); got != h.Name {
			t.Errorf("/srv of %s holds %q", h.Name, got)
		}
		if got := h.Exec(t, "cat /srv/name; id -un"); got != h.Name+"\nroot\n" {
			t.Errorf("Exec on %s printed %q", h.Name, got)
		}
	}
}

func TestAHostDiesAndComesBackWithItsDisk(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 2)
	victim, other := f.Hosts[0], f.Hosts[1]
	victim.Write(t, "/srv/sub/it's", "kept")
	victim.Kill(t)
	if _, err := login(f, victim, ssh.PublicKeys(f.Key.Signer)); err == nil {
		t.Error("a dead host let us in")
	}
	run(t, f, other, "true")
	victim.Start(t)
	if got := run(t, f, victim, "cat \"/srv/sub/it's\""); got != "kept" {
		t.Errorf("after its reboot the disk holds %q", got)
	}
}

func TestACutOffHostGoesOnRunning(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 1)
	h := f.Hosts[0]
	run(t, f, h, "setsid sleep 600 </dev/null >/dev/null 2>&1 & true")
	h.CutOff(t)
	if _, err := login(f, h, ssh.PublicKeys(f.Key.Signer)); err == nil {
		t.Error("a host that is cut off let us in")
	}
	h.Restore(t)
	if got := run(t, f, h, "pgrep -f 'sleep 600' >/dev/null && echo running"); got != "running" {
		t.Error("its processes did not survive")
	}
}

func TestCertificatesOpenAFleetWithoutKey(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 1, testrig.WithoutKey())
	if _, err := login(f, f.Hosts[0], ssh.PublicKeys(f.Key.Signer)); err == nil {
		t.Error("the plain key was let in")
	}
	key, line := f.Certificate(t)
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(public.(*ssh.Certificate), key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	client, err := login(f, f.Hosts[0], ssh.PublicKeys(signer))
	if err != nil {
		t.Fatalf("the certificate was refused: %v", err)
	}
	client.Close()
}

func TestOnlyTheBastionReachesTheHostsBehindIt(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 2, testrig.BehindBastion())
	if conn, err := net.DialTimeout("tcp", net.JoinHostPort(f.Hosts[0].IP, "22"), time.Second); err == nil {
		conn.Close()
		t.Error("a host behind the bastion can be reached without it")
	}
	bastion, err := login(f, f.Bastion, ssh.PublicKeys(f.Key.Signer))
	if err != nil {
		t.Fatal(err)
	}
	defer bastion.Close()
	for _, h := range f.Hosts {
		conn, err := bastion.Dial("tcp", net.JoinHostPort(h.IP, "22"))
		if err != nil {
			t.Fatalf("%s through the bastion: %v", h.Name, err)
		}
		conn.Close()
	}
}

func TestOptionsOfAFleet(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 1, testrig.Space(1<<20), testrig.Bash("export HEAVY=yes"), testrig.SSHD("MaxSessions 2"))
	h := f.Hosts[0]
	if got := run(t, f, h, "echo $HEAVY"); got != "yes" {
		t.Errorf(".bashrc was not read: %q", got)
	}
	if got := run(t, f, h, "head -c 2000000 /dev/zero >/srv/big 2>&1 || echo full"); !strings.Contains(got, "full") {
		t.Errorf("a small disk took everything: %q", got)
	}
	if got := h.Exec(t, "/usr/sbin/sshd -T -f /etc/ssh/sshd_config | grep maxsessions"); got != "maxsessions 2\n" {
		t.Errorf("sshd has %q", got)
	}
}

func TestLoopbackHostsShareOneServer(t *testing.T) {
	t.Parallel()
	f := testrig.NewFleet(t, 20, testrig.Loopback())
	for _, h := range []*testrig.Host{f.Hosts[0], f.Hosts[19]} {
		run(t, f, h, "echo hello >"+h.Dir+"/here")
		if got := h.Exec(t, "cat "+h.Dir+"/here"); got != "hello\n" {
			t.Errorf("%s has %q", h.Name, got)
		}
	}
}
