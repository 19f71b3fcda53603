// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package pluginhost_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// directory makes a directory with programs of these names.
func directory(t *testing.T, names ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, pluginhost.Prefix+name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func host(t *testing.T, options pluginhost.Options) *pluginhost.Host {
	t.Helper()
	h := pluginhost.New(options)
	t.Cleanup(h.Close)
	return h
}

func worker(t *testing.T, options pluginhost.Options) (*pluginhost.Host, deployer.Deployer) {
	t.Helper()
	options.Directories = append(options.Directories, directory(t, "worker"))
	h := host(t, options)
	d, err := h.Deployer(t.Context(), "worker")
	if err != nil {
		t.Fatal(err)
	}
	return h, d
}

func inspect(t *testing.T, d deployer.Deployer, o order) deployer.TargetState {
	t.Helper()
	state, err := d.Inspect(t.Context(), deployer.InspectRequest{Target: o.target()})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// failure asserts that err is of a code and that its text and log hold words.
func failure(t *testing.T, err error, code deployer.Code, words ...string) {
	t.Helper()
	var e *deployer.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of code %s", err, code)
	}
	text := strings.Join(append([]string{e.Error(), e.Advice}, e.Log...), "\n")
	if e.Code != code {
		t.Errorf("code %s, want %s: %s", e.Code, code, text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in: %s", word, text)
		}
	}
}

// phone is the end of a connection that a blocking step opens: it tells what
// the step does, and when its process ends.
type phone struct {
	t        *testing.T
	listener net.Listener
	conn     net.Conn
	lines    *bufio.Reader
	address  string
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := filepath.Join(dir, "s")
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &phone{t: t, listener: l, address: address}
}

// begun waits for the step, and gives its process and socket directory.
func (p *phone) begun() (pid int, socketDir string) {
	p.t.Helper()
	conn, err := p.listener.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	p.conn, p.lines = conn, bufio.NewReader(conn)
	if _, err := fmt.Sscanf(p.hear(), "begun %d %s", &pid, &socketDir); err != nil {
		p.t.Fatal(err)
	}
	return pid, socketDir
}

// hear reads a line; "" when the process has ended.
func (p *phone) hear() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatal("the process neither answers nor ends")
	}
	return strings.TrimSpace(line)
}

func (p *phone) say(word string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.conn, word); err != nil {
		p.t.Fatal(err)
	}
}

type activation struct {
	result deployer.Result
	err    error
}

// activate begins a step and returns at once.
func activate(ctx context.Context, d deployer.Deployer, o order) <-chan activation {
	done := make(chan activation, 1)
	go func() {
		r, err := d.Activate(ctx, o.activate(), nil)
		done <- activation{r, err}
	}()
	return done
}

// logLines counts what reaches a logger.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

func (l *logLines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}

func (l *logLines) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Debug})
}
