// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
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

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// sshd is a real OpenSSH server of one test.
type sshd struct {
	t          *testing.T
	port       int
	key        string // private, for the client
	known      string // known_hosts line of 127.0.0.1
	clientAuth string // the client's public key
	process    *os.Process
}

func newSSHD(t *testing.T, options ...string) *sshd {
	t.Helper()
	dir := t.TempDir()
	s := &sshd{t: t}
	hostKey, hostPublic := keyPair(t)
	var public ssh.PublicKey
	s.key, public = keyPair(t)
	s.clientAuth = string(ssh.MarshalAuthorizedKey(public))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s.port = freePort(t)
	s.known = fmt.Sprintf("[127.0.0.1]:%d %s", s.port, ssh.MarshalAuthorizedKey(hostPublic))
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n%s\n",
		s.port, write("host", hostKey), write("authorized", s.clientAuth), strings.Join(options, "\n"))
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-E", log, "-f", write("config", config))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("sshd said:\n%s", text)
		}
	})
	eventually(t, "sshd listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func keyPair(t *testing.T) (string, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), key
}

// connection is the ssh block for this server.
func (s *sshd) connection() map[string]any {
	return map[string]any{"user": "root", "private_key": s.key, "known_hosts": s.known, "connect_timeout": "60s"}
}

// rig deploys to this server through an address, its own when it is "".
func (s *sshd) rig(address string, connection map[string]any) *rig {
	s.t.Helper()
	if address == "" {
		address = fmt.Sprintf("127.0.0.1:%d", s.port)
	}
	if connection == nil {
		connection = s.connection()
	}
	raw, err := json.Marshal(connection)
	if err != nil {
		s.t.Fatal(err)
	}
	d := New(SSH, "test")
	if err := d.Configure(s.t.Context(), deployer.ConfigureRequest{Connection: raw, Directory: s.t.TempDir()}); err != nil {
		s.t.Fatal(err)
	}
	return rigOf(s.t, d, "app-1", map[string]any{"hosts": map[string]string{"app-1": address}})
}

// line is a connection that takes time, and can be cut.
type line struct {
	address string
	delay   time.Duration
	target  string
	bytes   atomic.Int64
	upward  atomic.Bool // the last bytes went to the server
	turns   atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
}

func newLine(t *testing.T, target string, delay time.Duration) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	it := &line{address: l.Addr().String(), delay: delay, target: target}
	t.Cleanup(func() {
		_ = l.Close()
		it.cut()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go it.serve(c)
		}
	}()
	return it
}

func (l *line) serve(c net.Conn) {
	u, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = c.Close()
		return
	}
	l.mu.Lock()
	l.conns = append(l.conns, c, u)
	l.mu.Unlock()
	go l.carry(c, u, true)
	l.carry(u, c, false)
}

// carry moves bytes, each after half the delay, and counts how often the client
// spoke after the server had.
func (l *line) carry(from, to net.Conn, up bool) {
	type chunk struct {
		data []byte
		due  time.Time
	}
	queue := make(chan chunk, 4096)
	go func() {
		defer close(queue)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if n > 0 {
				l.bytes.Add(int64(n))
				if l.upward.Swap(up) != up && up {
					l.turns.Add(1)
				}
				queue <- chunk{b[:n], time.Now().Add(l.delay / 2)}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range queue {
		wait := time.NewTimer(time.Until(c.due))
		<-wait.C
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}

// cut ends all connections, without a word.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}
