// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A test binary that is started with one of these runs what it says instead of
// tests.
const (
	helperStore = "STORE_TEST_HELPER" // directory of the store
	helperFrom  = "STORE_TEST_FROM"   // first of ten versions 1.<from>.x to put
	helperDie   = "STORE_TEST_DIE"    // step at which to die of SIGKILL
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperStore); dir != "" {
		if err := helper(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// helper puts releases, alone or with others.
func helper(dir string) error {
	artifact := filepath.Join(dir, "artifact-"+os.Getenv(helperFrom))
	data := []byte("bytes of " + os.Getenv(helperFrom))
	if err := os.WriteFile(artifact, data, 0o600); err != nil {
		return err
	}
	output := artifact + ".log"
	if err := os.WriteFile(output, []byte("passed"), 0o600); err != nil {
		return err
	}
	a := Artifact{MediaType: "application/x", Digest: digestOf(data), Size: int64(len(data))}
	s := &releases{places: map[string]backend{}, at: Location{Directory: filepath.Join(dir, "store")}}
	s.open = func(pipeline string) (backend, error) {
		l := newLayout(s.at, pipeline)
		steps := 0
		l.reached = func(step string) {
			steps++
			if die := os.Getenv(helperDie); die == fmt.Sprintf("%s %d", step, steps) || die == step {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return l, nil
	}
	for n := range 10 {
		version := fmt.Sprintf("1.%s.%d", os.Getenv(helperFrom), n)
		e := Evidence{CreatedAt: noon, Files: []EvidenceFile{{Stage: "test", Kind: FileLog, Name: "output.log", Path: output}}}
		if _, err := s.Put(context.Background(), record("shop", version, a), artifact, e); err != nil {
			return err
		}
		if os.Getenv(helperDie) != "" {
			break
		}
	}
	return nil
}

func startHelper(t *testing.T, dir, from, die string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), helperStore+"="+dir, helperFrom+"="+from, helperDie+"="+die)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

// TestLayoutProcesses: two processes that write at once lose nothing.
func TestLayoutProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	helpers := []*exec.Cmd{startHelper(t, dir, "1", ""), startHelper(t, dir, "2", "")}
	for _, cmd := range helpers {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, filepath.Join(dir, "store"))
	versions, err := s.Versions(context.Background(), "shop")
	if err != nil || len(versions) != 20 {
		t.Fatalf("%d versions: %v", len(versions), err)
	}
	standard(t, filepath.Join(dir, "store", "shop"), 40)
}

// TestLayoutKilled kills a writer at every step. What it leaves is a readable
// layout that holds the release or does not, and the next writer sweeps up.
func TestLayoutKilled(t *testing.T) {
	t.Parallel()
	// All steps of one Put into an empty store, in order.
	var steps []string
	at := Location{Directory: t.TempDir()}
	l := newLayout(at, "shop")
	l.reached = func(step string) { steps = append(steps, fmt.Sprintf("%s %d", step, len(steps)+1)) }
	s := &releases{at: at, places: map[string]backend{"shop": l}}
	path, a := artifactFile(t, []byte("bytes of 1"))
	e := evidence(t, noon)
	e.Files = e.Files[:1]
	if _, err := s.Put(context.Background(), record("shop", "1.1.0", a), path, e); err != nil {
		t.Fatal(err)
	}
	if len(steps) < 12 {
		t.Fatalf("only the steps %v", steps)
	}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := startHelper(t, dir, "1", step)
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v", err)
			}
			ctx := context.Background()
			layoutDir := filepath.Join(dir, "store")
			s := open(t, layoutDir)
			before, err := s.Versions(ctx, "shop")
			if err != nil {
				t.Fatalf("after the kill: %v", err)
			}
			if index := strings.HasPrefix(step, "index "); index != (len(before) == 1) {
				t.Errorf("versions %v", before)
			}
			for _, version := range before {
				release, err := s.Get(ctx, "shop", version)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Artifact(ctx, release, ""); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Evidence(ctx, release); err != nil {
					t.Fatal(err)
				}
			}
			path, a := artifactFile(t, []byte("bytes of another"))
			put(t, s, record("shop", "9.0.0", a), path)
			standard(t, filepath.Join(layoutDir, "shop"), 2*len(before)+2)
			if _, err := os.Lstat(filepath.Join(layoutDir, "shop", workDir)); !errors.Is(err, fs.ErrNotExist) {
				t.Error("the work directory was not swept")
			}
		})
	}
}
