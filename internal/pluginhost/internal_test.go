// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCopyLinesKeepsTheLastAndLimitsTheLog(t *testing.T) {
	t.Parallel()
	var in bytes.Buffer
	in.WriteString(strings.Repeat("x", 1<<20) + "\n")
	for i := range 10_000 {
		fmt.Fprintf(&in, "line %d\n", i)
	}
	in.WriteString(`{"@level":"error","@message":"cannot go on","error":"no space"}` + "\nno newline")
	keep, out := &tail{}, &bytes.Buffer{}
	copyLines(&in, keep, out)
	last := keep.last()
	if n := len(last); n != tailLines || last[n-1] != "no newline" || last[n-2] != "cannot go on: no space" {
		t.Errorf("kept %q", last)
	}
	if n := strings.Count(out.String(), "\n"); n < linesAtOnce || n > 2*linesAtOnce {
		t.Errorf("%d lines in the log", n)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); len(first) > longestLine {
		t.Errorf("a line of %d bytes", len(first))
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := newBudget(now)
	for range linesAtOnce {
		if b.spend(now) != 0 {
			t.Fatal("the first lines are dropped")
		}
	}
	for range 7 {
		if b.spend(now) != -1 {
			t.Fatal("a flood is not dropped")
		}
	}
	if got := b.spend(now.Add(time.Second)); got != 7 {
		t.Errorf("%d lines were dropped before, want 7", got)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	now := time.Now()
	directory := func(name string, mode os.FileMode) string {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, lockFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	dead, open, foreign := directory("dlvhost-dead", 0o700), directory("dlvhost-open", 0o755), directory("other", 0o700)
	living := filepath.Join(base, "dlvhost-living")
	if err := os.Mkdir(living, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := lockNew(filepath.Join(living, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()

	sweep(base, now)
	if !exists(dead) {
		t.Error("a host that has just died lost its directory: its deployers may still need it")
	}
	sweep(base, now.Add(2*abandonedFor))
	if exists(dead) {
		t.Error("what a dead host left is still there")
	}
	for _, path := range []string{open, foreign, living} {
		if !exists(path) {
			t.Errorf("%s is gone", path)
		}
	}
}

func TestSocketPathsAreShort(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("long", 30)
	if base := baseDirectory(long); base == long && runtime.GOOS != "windows" {
		t.Errorf("the base is %s", base)
	}
	if base := baseDirectory("/var/tmp"); base != "/var/tmp" {
		t.Errorf("the base is %s", base)
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add("1|1|unix|/tmp/x|grpc|", "plain")
	f.Add("1|99999999999999999999|", `{"@message":"x","error":{}}`)
	f.Fuzz(func(t *testing.T, handshake, line string) {
		if v := offeredVersion(handshake); v != 0 && !strings.HasPrefix(handshake, "1|") {
			t.Errorf("%q offers version %d", handshake, v)
		}
		plainLine(line)
		keep, out := &tail{}, &bytes.Buffer{}
		copyLines(strings.NewReader(line), keep, out)
		if !utf8.ValidString(out.String()) {
			t.Errorf("the log is no text: %q", out.String())
		}
		if s := shorten(handshake); len(s) > 130 {
			t.Errorf("shortened to %d bytes", len(s))
		}
	})
}
