// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tfdelivery/terraform-provider-delivery/internal/process"
)

// TestMain can be an owner that is killed: it runs a command and waits.
func TestMain(m *testing.M) {
	if command := os.Getenv("PROCESS_TEST_OWNER"); command != "" {
		_ = process.Run(context.Background(), sh(command, os.Stdout), process.Options{Grace: time.Second})
		return
	}
	os.Exit(m.Run())
}

func sh(script string, w io.Writer) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdout, cmd.Stderr = w, w
	return cmd
}

// gone waits until a process has ended; a test that hangs here fails by its
// deadline.
func gone(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func pidIn(t *testing.T, text string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestOutputAndStatusArrive(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	err := process.Run(t.Context(), sh("echo out; echo err >&2; exit 3", &b), process.Options{})
	if code, ok := process.ExitCode(err); code != 3 || !ok || b.String() != "out\nerr\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	err = process.Run(t.Context(), sh("kill -9 $$", nil), process.Options{})
	if code, ok := process.ExitCode(err); code != 137 || !ok {
		t.Errorf("%d, %v", code, err)
	}
}

func TestNothingOutlivesItsCommand(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a child that holds the output": "sleep 1000 & echo $!",
		"a child that ignores TERM":     "(trap '' TERM; sleep 1000) & echo $!",
		"a daemon":                      "setsid sleep 1000 & echo $!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := process.Run(t.Context(), sh(script, &b), process.Options{Sweep: true}); err != nil {
				t.Fatal(err)
			}
			gone(pidIn(t, b.String()))
		})
	}
}

func TestCancellingAsksThenKills(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		grace  time.Duration
		want   string
	}{
		"it ends when asked": {"trap 'echo bye; exit 0' TERM; echo $$; sleep 1000 & wait", time.Minute, "bye"},
		"it does not listen": {"trap '' TERM; echo $$; while :; do sleep 1000; done", 50 * time.Millisecond, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			because := errors.New("because")
			ctx, cancel := context.WithCancelCause(t.Context())
			r, w := io.Pipe()
			result := make(chan error, 1)
			go func() {
				result <- process.Run(ctx, sh(c.script, w), process.Options{Grace: c.grace})
				_ = w.Close()
			}()
			var first [64]byte
			n, _ := r.Read(first[:])
			cancel(because)
			rest, _ := io.ReadAll(r)
			if err := <-result; !errors.Is(err, because) {
				t.Errorf("error is %v", err)
			}
			if !strings.Contains(string(rest), c.want) {
				t.Errorf("it said %q", rest)
			}
			gone(pidIn(t, string(first[:n])))
		})
	}
}

func TestNothingOutlivesAKilledOwner(t *testing.T) {
	t.Parallel()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), "PROCESS_TEST_OWNER=echo $$; sleep 1000 & sleep 1001")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_ = owner.Process.Signal(syscall.SIGKILL)
	_ = owner.Wait()
	gone(pidIn(t, line))
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestAWriterThatFailsDoesNotBlockTheCommand(t *testing.T) {
	t.Parallel()
	err := process.Run(t.Context(), sh("head -c 1000000 /dev/zero", failing{}), process.Options{})
	if err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error is %v", err)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	cmd := exec.Command("/no/such/program")
	cmd.Stdout = &b
	err := process.Run(t.Context(), cmd, process.Options{})
	if _, ok := process.ExitCode(err); ok || err == nil {
		t.Errorf("error is %v", err)
	}
}
