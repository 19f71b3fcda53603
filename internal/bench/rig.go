// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// rig is what the test rig wants of a test, for a program: directories and
// clean-up that end with it, and failures that end the run.
type rig struct {
	testing.TB // only the methods below are ever called

	dir string

	mu       sync.Mutex
	cleanups []func()
	failed   bool
	dirs     int
}

// errFatal ends a run whose reason was printed already.
var errFatal = errors.New("the run cannot go on")

func newRig() (*rig, error) {
	dir, err := os.MkdirTemp("", "delivery-bench-")
	if err != nil {
		return nil, err
	}
	// Hosts' users look for their files under it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	return &rig{dir: dir}, nil
}

// run calls f and then, however f ends, cleans up, the newest first.
func (r *rig) run(f func() error) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			if caught != errFatal {
				r.clean()
				panic(caught)
			}
			err = errFatal
		}
		r.clean()
		if err == nil && r.Failed() {
			err = errFatal
		}
	}()
	return f()
}

func (r *rig) clean() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			break
		}
		last := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		last()
	}
	if err := os.RemoveAll(r.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench: clean up:", err)
	}
}

func (r *rig) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *rig) TempDir() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirs++
	dir := filepath.Join(r.dir, fmt.Sprint(r.dirs))
	if err := os.Mkdir(dir, 0o755); err != nil {
		r.failed = true
		fmt.Fprintln(os.Stderr, "bench:", err)
		panic(errFatal)
	}
	return dir
}

func (r *rig) Helper() {}

func (r *rig) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *rig) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (r *rig) Log(args ...any)                 { fmt.Fprintln(os.Stderr, args...) }

func (r *rig) fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *rig) Errorf(format string, args ...any) { r.Logf(format, args...); r.fail() }
func (r *rig) Error(args ...any)                 { r.Log(args...); r.fail() }
func (r *rig) Fatalf(format string, args ...any) { r.Errorf(format, args...); panic(errFatal) }
func (r *rig) Fatal(args ...any)                 { r.Error(args...); panic(errFatal) }
