// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package pluginhost_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// closeBound is two seconds, and two more for a busy machine.
const closeBound = 4 * time.Second

func TestCrashInInspectIsRepaired(t *testing.T) {
	t.Parallel()
	logs := &logLines{}
	_, d := worker(t, pluginhost.Options{Logger: logs.logger()})
	before := inspect(t, d, order{}).Owner
	after := inspect(t, d, order{Do: "crash once", File: filepath.Join(t.TempDir(), "x")}).Owner
	if before == after {
		t.Error("the process did not crash")
	}
	if !strings.Contains(logs.all(), "out of luck") {
		t.Errorf("the log does not have the program's last words: %s", logs.all())
	}
	_, err := d.Inspect(t.Context(), deployer.InspectRequest{Target: order{Do: "crash"}.target()})
	failure(t, err, deployer.CodePluginGone, "crashed", "panic: always")
}

func TestCrashInMutationIsTold(t *testing.T) {
	t.Parallel()
	_, d := worker(t, pluginhost.Options{})
	_, err := d.Activate(t.Context(), order{Do: "crash"}.activate(), nil)
	failure(t, err, deployer.CodePluginGone, "crashed", "exit status 2", "the disk is on fire")
	_, err = d.Activate(t.Context(), order{}.activate(), nil)
	failure(t, err, deployer.CodePluginGone, "crashed")
	inspect(t, d, order{})
	if _, err := d.Activate(t.Context(), order{}.activate(), nil); err != nil {
		t.Errorf("after an Inspect: %v", err)
	}
}

func TestPanicFailsItsCallOnly(t *testing.T) {
	t.Parallel()
	_, d := worker(t, pluginhost.Options{})
	before := inspect(t, d, order{}).Owner
	_, err := d.Activate(t.Context(), order{Do: "panic"}.activate(), nil)
	failure(t, err, deployer.CodeFailed, "panicked: a mistake", "main_test.go")
	if after := inspect(t, d, order{}).Owner; before != after {
		t.Error("the process did not survive")
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	_, d := worker(t, pluginhost.Options{HangTimeout: 3 * time.Second})
	_, err := d.Activate(t.Context(), order{Do: "stop"}.activate(), nil)
	failure(t, err, deployer.CodePluginGone, "did not answer for 3s")
}

func TestFloods(t *testing.T) {
	t.Parallel()
	logs := &logLines{}
	_, d := worker(t, pluginhost.Options{Logger: logs.logger()})
	if _, err := d.Activate(t.Context(), order{Do: "flood stderr", Count: 200_000}.activate(), nil); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(logs.all(), "\n"); n > 5000 {
		t.Errorf("%d lines reached the log", n)
	}
	const count = 20_000
	var got int
	_, err := d.Activate(t.Context(), order{Do: "flood events", Count: count}.activate(), func(e deployer.Event) {
		if e.Line != strconv.Itoa(got) {
			t.Errorf("event %d is %q", got, e.Line)
		}
		got++
	})
	if err != nil || got != count {
		t.Errorf("%d events of %d, %v", got, count, err)
	}
}

func TestChildrenGoToo(t *testing.T) {
	t.Parallel()
	_, d := worker(t, pluginhost.Options{})
	var child int
	_, err := d.Activate(t.Context(), order{Do: "leave child"}.activate(), func(e deployer.Event) {
		child, _ = strconv.Atoi(e.Line)
	})
	failure(t, err, deployer.CodePluginGone, "exit status 4")
	if child != 0 {
		ended(t, child)
	}
}

// running says whether a process runs; a zombie does not.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// ended waits for the end of a process that may be anybody's child. What a
// process says last comes before its end: its files are closed while it exits.
func ended(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return
		}
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := time.Now().Add(closeBound); ; {
		n, err := unix.Poll(set, int(max(0, time.Until(end).Milliseconds())))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n != 1 {
			t.Errorf("the process %d still runs (%v)", pid, err)
		}
		return
	}
}

func TestCloseIsQuick(t *testing.T) {
	t.Parallel()
	h, d := worker(t, pluginhost.Options{})
	pid, _ := strconv.Atoi(inspect(t, d, order{}).Owner)
	ignoring := make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := d.Activate(context.Background(), order{Do: "ignore"}.activate(), func(deployer.Event) { close(ignoring) })
		done <- err
	}()
	<-ignoring
	began := time.Now()
	h.Close()
	if took := time.Since(began); took > closeBound {
		t.Errorf("it took %s", took)
	}
	if running(pid) {
		t.Error("the process still runs")
	}
	failure(t, <-done, deployer.CodePluginGone)
}

func TestCloseDuringStart(t *testing.T) {
	t.Parallel()
	h := host(t, pluginhost.Options{Directories: []string{directory(t, "sleeper")}})
	done := make(chan error)
	go func() {
		_, err := h.Deployer(context.Background(), "sleeper")
		done <- err
	}()
	began := time.Now()
	h.Close()
	failure(t, <-done, deployer.CodePluginGone, "ending")
	if took := time.Since(began); took > closeBound {
		t.Errorf("it took %s", took)
	}
}

func TestCancelWaitsForTheSafePoint(t *testing.T) {
	t.Parallel()
	_, d := worker(t, pluginhost.Options{})
	p := newPhone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := activate(ctx, d, order{Do: "block", Address: p.address})
	p.begun()
	cancel()
	if got := p.hear(); got != "stopped safely" {
		t.Errorf("heard %q", got)
	}
	failure(t, (<-done).err, deployer.CodeInterrupted, "stopped safely")
}

func TestSignalsDuringMutation(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			_, d := worker(t, pluginhost.Options{})
			p := newPhone(t)
			done := activate(t.Context(), d, order{Do: "block", Address: p.address})
			pid, _ := p.begun()
			for _, also := range []syscall.Signal{syscall.SIGINT, syscall.SIGPIPE} {
				if err := syscall.Kill(pid, also); err != nil {
					t.Fatal(err)
				}
				p.say("alive")
				if got := p.hear(); got != "alive" {
					t.Fatalf("after %s: %q", also, got)
				}
			}
			if err := syscall.Kill(pid, s); err != nil {
				t.Fatal(err)
			}
			if got := p.hear(); got != "stopped safely" {
				t.Errorf("heard %q", got)
			}
			failure(t, (<-done).err, deployer.CodeInterrupted, "stopped safely")
			if got := p.hear(); got != "" {
				t.Errorf("the process goes on: %q", got)
			}
		})
	}
}

// beginHost starts a host in a process group of its own, with a step that lasts.
func beginHost(t *testing.T, p *phone) (host *exec.Cmd, plugin int, socketDir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host = exec.Command(self, "host", directory(t, "worker"), p.address)
	host.Stderr = os.Stderr
	host.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = host.Process.Kill(), host.Wait() })
	plugin, socketDir = p.begun()
	return host, plugin, socketDir
}

func TestKilledHostLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	host, plugin, socketDir := beginHost(t, p)
	if entries, err := os.ReadDir(socketDir); err != nil || len(entries) != 1 {
		t.Fatalf("the socket directory holds %v, %v", entries, err)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := p.hear(); got != "stopped safely" {
		t.Errorf("heard %q", got)
	}
	if got := p.hear(); got != "" {
		t.Errorf("the plugin goes on: %q", got)
	}
	ended(t, plugin)
	if _, err := os.Stat(socketDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket directory is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(socketDir), "d")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the private directory is still there: %v", err)
	}
}

func TestInterruptOfTheGroup(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	host, _, _ := beginHost(t, p)
	if err := syscall.Kill(-host.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.say("alive")
	if got := p.hear(); got != "alive" {
		t.Errorf("after Ctrl-C: %q", got)
	}
}
