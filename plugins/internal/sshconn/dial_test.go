// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package sshconn

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// server is a real sshd of one test.
type server struct {
	t       *testing.T
	port    int
	dir     string
	private ed25519.PrivateKey // of the client
	signer  ssh.Signer
	known   string
}

func newServer(t *testing.T, options ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	_, hostPrivate, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	hostSigner, err := ssh.NewSignerFromKey(hostPrivate)
	s.must(err)
	_, s.private, err = ed25519.GenerateKey(rand.Reader)
	s.must(err)
	s.signer, err = ssh.NewSignerFromKey(s.private)
	s.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.port = l.Addr().(*net.TCPAddr).Port
	s.must(l.Close())
	s.known = fmt.Sprintf("[127.0.0.1]:%d %s", s.port, ssh.MarshalAuthorizedKey(hostSigner.PublicKey()))
	config := fmt.Sprintf("%s\nPort %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n",
		strings.Join(options, "\n"), s.port, s.write("host", pemOf(t, hostPrivate, "")), s.write("authorized", string(ssh.MarshalAuthorizedKey(s.signer.PublicKey()))))
	s.must(os.MkdirAll("/run/sshd", 0o755))
	log := filepath.Join(s.dir, "log")
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-E", log, "-f", s.write("config", config))
	s.must(cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("sshd said:\n%s", text)
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		c, err := net.Dial("tcp", s.address())
		if err == nil {
			_ = c.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) write(name, text string) string {
	path := filepath.Join(s.dir, name)
	s.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

func pemOf(t *testing.T, key ed25519.PrivateKey, passphrase string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func (s *server) config() Config {
	return Config{User: "root", PrivateKey: pemOf(s.t, s.private, ""), KnownHosts: s.known, ConnectTimeout: "60s"}
}

func (s *server) dial(c Config) (*Conn, error) {
	s.t.Helper()
	d, err := New(c)
	s.must(err)
	s.t.Cleanup(d.Close)
	conn, err := d.Dial(s.t.Context(), s.address())
	if err == nil {
		s.t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

func (s *server) works(c Config) *Conn {
	s.t.Helper()
	conn, err := s.dial(c)
	if err != nil {
		e := deployer.AsError(err)
		s.t.Fatalf("%v\n%s", err, e.Advice)
	}
	if got := s.run(conn, "echo hello"); got != "hello\n" {
		s.t.Fatalf("the host said %q", got)
	}
	return conn
}

func (s *server) run(conn *Conn, command string) string {
	s.t.Helper()
	session, err := conn.Start(s.t.Context(), command)
	s.must(err)
	text, err := io.ReadAll(session)
	s.must(err)
	if status := session.Status(); status != 0 {
		s.t.Errorf("%q ended with status %d", command, status)
	}
	return string(text)
}

func (s *server) refuses(c Config, code deployer.Code, parts ...string) {
	s.t.Helper()
	_, err := s.dial(c)
	e := deployer.AsError(err)
	if e == nil || e.Code != code {
		s.t.Fatalf("error %v, want code %s", err, code)
	}
	for _, p := range parts {
		if !strings.Contains(e.Message+"\n"+e.Advice, p) {
			s.t.Errorf("the error lacks %q: %s\n%s", p, e.Message, e.Advice)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	plain := s.config()
	s.works(plain)

	locked := plain
	locked.PrivateKey = pemOf(t, s.private, "open sesame")
	s.refuses(locked, deployer.CodeRefused, "passphrase")
	locked.Passphrase = "wrong"
	s.refuses(locked, deployer.CodeRefused, "passphrase")
	locked.Passphrase = "open sesame"
	s.works(locked)

	file := plain
	file.PrivateKey, file.PrivateKeyFile = "", s.write("key", plain.PrivateKey)
	file.KnownHosts, file.KnownHostsFile = "", s.write("known", s.known)
	s.works(file)
	file.PrivateKeyFile += "-missing"
	s.refuses(file, deployer.CodeRefused, "private_key_file")

	nothing := plain
	nothing.PrivateKey = ""
	s.refuses(nothing, deployer.CodeRefused, "private_key")
	nothing.PrivateKey = "hello"
	s.refuses(nothing, deployer.CodeRefused, "no private key")
}

func TestRefusedKeyAndUser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	c := s.config()
	c.PrivateKey = pemOf(t, stranger, "")
	signer, err := ssh.NewSignerFromKey(stranger)
	s.must(err)
	s.refuses(c, deployer.CodeRefused, "root", s.address(), ssh.FingerprintSHA256(signer.PublicKey()), "publickey")
}

func TestPasswordOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t, "PubkeyAuthentication no", "PasswordAuthentication yes", "KbdInteractiveAuthentication no")
	s.refuses(s.config(), deployer.CodeRefused, "only with a password", "password")
}

func TestHostKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, other := newKey(t)
	c := s.config()
	c.KnownHosts = fmt.Sprintf("[127.0.0.1]:%d %s", s.port, other)
	s.refuses(c, deployer.CodeRefused, "another key", "SHA256:")
	c.KnownHosts = "elsewhere " + other
	s.refuses(c, deployer.CodeRefused, "not in known_hosts", strings.TrimSpace(s.known))
	// Another kind of key than the server has.
	c.KnownHosts = fmt.Sprintf("[127.0.0.1]:%d ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=", s.port)
	s.refuses(c, deployer.CodeRefused, "other kinds of keys", strings.TrimSpace(s.known))
	c.KnownHosts = ""
	s.refuses(c, deployer.CodeRefused, "known_hosts")
	c.KnownHostsFile = filepath.Join(s.dir, "missing")
	s.refuses(c, deployer.CodeRefused, "known_hosts_file")
}

func TestUserCertificate(t *testing.T) {
	t.Parallel()
	authority, authorityKey := newKey(t)
	ca := filepath.Join(t.TempDir(), "ca.pub")
	if err := os.WriteFile(ca, []byte(authorityKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "TrustedUserCAKeys "+ca)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	signer, err := ssh.NewSignerFromKey(private)
	s.must(err)
	cert := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity}
	s.must(cert.SignCert(rand.Reader, authority))
	c := s.config()
	c.PrivateKey, c.Certificate = pemOf(t, private, ""), string(ssh.MarshalAuthorizedKey(cert))
	s.works(c)
	c.PrivateKey = s.config().PrivateKey
	s.refuses(c, deployer.CodeRefused, "another key")
}

func TestAgent(t *testing.T) {
	s := newServer(t)
	keyring := agent.NewKeyring()
	s.must(keyring.Add(agent.AddedKey{PrivateKey: s.private}))
	socket := filepath.Join(s.dir, "agent")
	l, err := net.Listen("unix", socket)
	s.must(err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, c) }()
		}
	}()
	c := s.config()
	c.PrivateKey, c.Agent = "", true
	t.Setenv("SSH_AUTH_SOCK", socket)
	s.works(c)
	t.Setenv("SSH_AUTH_SOCK", "")
	s.refuses(c, deployer.CodeRefused, "SSH_AUTH_SOCK")
}

// TestHangingAgent has an agent that never says anything, first when its keys
// are listed, then when it is to sign. Once it answers, all is well.
func TestHangingAgent(t *testing.T) {
	s := newServer(t)
	keyring := agent.NewKeyring()
	s.must(keyring.Add(agent.AddedKey{PrivateKey: s.private}))
	socket := filepath.Join(s.dir, "agent")
	l, err := net.Listen("unix", socket)
	s.must(err)
	var answers atomic.Int64 // of the agent, until it hangs
	hang, release := context.WithCancel(t.Context())
	t.Cleanup(func() { release(); _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if answers.Add(-1) < 0 {
					<-hang.Done()
					_ = c.Close()
					return
				}
				_ = agent.ServeAgent(keyring, c)
			}()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	c := s.config()
	c.PrivateKey, c.Agent, c.ConnectTimeout = "", true, "1s"
	d, err := New(c)
	s.must(err)
	t.Cleanup(d.Close)
	for _, before := range []int64{0, 1} {
		answers.Store(before)
		_, err := d.Dial(t.Context(), s.address())
		if deployer.CodeOf(err) != deployer.CodeRefused || !strings.Contains(err.Error(), "agent") {
			t.Errorf("after %d answers: %v", before, err)
		}
	}
	answers.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Dial(ctx, s.address()); deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Errorf("cancelled: %v", err)
	}
	answers.Store(1000)
	conn, err := d.Dial(t.Context(), s.address())
	s.must(err)
	_ = conn.Close()
}

func TestBastion(t *testing.T) {
	t.Parallel()
	s, b := newServer(t, "AllowTcpForwarding no"), newServer(t)
	c := s.config()
	c.KnownHosts += b.known
	c.Bastion = &Bastion{Host: b.address(), PrivateKey: pemOf(t, b.private, "")}
	conn := s.works(c)
	_, err := conn.Dial(t.Context(), "tcp", s.address())
	if deployer.CodeOf(err) != deployer.CodeRefused || !strings.Contains(err.Error(), "forbids forwarding") {
		t.Errorf("dialling where it is forbidden: %v", err)
	}
	through := b.works(b.config())
	if _, err := through.Dial(t.Context(), "tcp", "127.0.0.1:1"); deployer.CodeOf(err) != deployer.CodeFailed {
		t.Errorf("dialling nobody: %v", err)
	}
	c.KnownHosts = s.known
	s.refuses(c, deployer.CodeRefused, "bastion", "not in known_hosts")
}

// TestFailedBastionIsTriedOnce lets many hosts wait for a bastion that says
// nothing.
func TestFailedBastionIsTriedOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	t.Cleanup(func() { _ = l.Close() })
	c := s.config()
	c.Bastion, c.ConnectTimeout = &Bastion{Host: l.Addr().String()}, "1s"
	d, err := New(c)
	s.must(err)
	t.Cleanup(d.Close)
	begun := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := d.Dial(t.Context(), s.address()); deployer.CodeOf(err) != deployer.CodeUnreachable {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestDeadHostsHoldUpNobody connects to a host while more others than there are
// turns do not even answer the call.
func TestDeadHostsHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d, err := New(s.config())
	s.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg, calling sync.WaitGroup
	for range 2 * atOnce {
		calling.Add(1)
		dead := func(ctx context.Context, _, _ string) (net.Conn, error) {
			calling.Done()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		wg.Go(func() {
			_, _ = d.connect(ctx, "dead", 22, d.hosts, dead)
		})
	}
	calling.Wait()
	conn, err := d.Dial(t.Context(), s.address())
	s.must(err)
	_ = conn.Close()
	cancel()
	wg.Wait()
}

func TestTooManyKeys(t *testing.T) {
	s := newServer(t, "MaxAuthTries 2")
	keyring := agent.NewKeyring()
	for range 4 {
		_, stranger, err := ed25519.GenerateKey(rand.Reader)
		s.must(err)
		s.must(keyring.Add(agent.AddedKey{PrivateKey: stranger}))
	}
	socket := filepath.Join(s.dir, "agent")
	l, err := net.Listen("unix", socket)
	s.must(err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, c) }()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	c := s.config()
	c.PrivateKey, c.Agent = "", true
	s.refuses(c, deployer.CodeRefused, "offered ssh-ed25519 SHA256:", "MaxAuthTries")
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, "MaxStartups 3:50:6")
	d, err := New(s.config())
	s.must(err)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			conn, err := d.Dial(t.Context(), s.address())
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			_ = conn.Close()
		})
	}
	wg.Wait()
}

func TestSessionsAreLimited(t *testing.T) {
	t.Parallel()
	s := newServer(t, "MaxSessions 1")
	conn := s.works(s.config())
	var session *Session
	for tick := time.NewTicker(10 * time.Millisecond); session == nil; <-tick.C {
		var err error
		session, err = conn.Start(t.Context(), "cat") // the one before may not have ended yet
		if err != nil && !errors.Is(err, ErrNoSession) {
			t.Fatal(err)
		}
	}
	if _, err := conn.Start(t.Context(), "cat"); !errors.Is(err, ErrNoSession) {
		t.Errorf("a second session: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d, err := New(s.config())
	s.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	silent := l.Addr().String()
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	for address, want := range map[string]string{"127.0.0.1:1": "refused", "no-such-host.invalid": "resolved"} {
		_, err := d.Dial(ctx, address)
		if e := deployer.AsError(err); e == nil || e.Code != deployer.CodeUnreachable || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	c := s.config()
	c.ConnectTimeout = "100ms"
	quick, err := New(c)
	s.must(err)
	if _, err := quick.Dial(ctx, silent); deployer.CodeOf(err) != deployer.CodeUnreachable || !strings.Contains(err.Error(), "within 100ms") {
		t.Errorf("a silent server: %v", err)
	}
	cancel()
	if _, err := d.Dial(ctx, silent); deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Errorf("cancelled: %v", err)
	}
}
