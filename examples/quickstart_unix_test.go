// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// demo builds the demonstration and gives its command, in a temporary
// directory of its own.
func demo(t *testing.T, bin string) (cmd *exec.Cmd, temporary string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", program, "./quickstart/demo").CombinedOutput(); err != nil {
		t.Fatalf("build the demonstration: %v\n%s", err, out)
	}
	cmd = exec.Command(program, "-bin", bin, "-example", "quickstart")
	temporary, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temporary) })
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	return cmd, temporary
}

// nothingLeft fails the test if the demonstration left files or processes.
func nothingLeft(t *testing.T, bin, temporary string) {
	t.Helper()
	testrig.NoLeaks(t, bin)
	testrig.NoLeaks(t, temporary)
	left, err := os.ReadDir(temporary)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), "delivery") {
			t.Errorf("left behind: %s", entry.Name())
		}
	}
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	bin := testrig.Provider(t)
	cmd, temporary := demo(t, bin)
	started := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the demonstration failed: %v\n%s", err, out)
	}
	if took := time.Since(started); took > 2*time.Minute {
		t.Errorf("it took %s", took)
	}
	for _, want := range []string{
		"Hello (version 1.0.0)", "Hello, world (version 1.1.0)", "GREETINGS_URL is not set",
		"the version before was put back", "Where to look next",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	nothingLeft(t, bin, temporary)
}

func TestQuickstartCanBeInterrupted(t *testing.T) {
	t.Parallel()
	bin := testrig.Provider(t)
	cmd, temporary := demo(t, bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	screen := &screen{said: make(chan struct{}), wait: "3. "}
	cmd.Stdout, cmd.Stderr = screen, screen
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-screen.said:
	case err := <-ended:
		t.Fatalf("it ended early: %v\n%s", err, screen)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("an interrupted demonstration calls itself a success")
	}
	if !strings.Contains(screen.String(), "interrupted") {
		t.Errorf("it does not say that it was interrupted:\n%s", screen)
	}
	nothingLeft(t, bin, temporary)
}

// screen keeps what is printed and tells when some text was.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	wait string
	said chan struct{}
	once sync.Once
}

func (s *screen) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(data)
	if strings.Contains(s.text.String(), s.wait) {
		s.once.Do(func() { close(s.said) })
	}
	return len(data), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
