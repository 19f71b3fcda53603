// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// TestLayoutDenied: a directory that may be read and not written.
func TestLayoutDenied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, a := artifactFile(t, []byte("x"))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	made := put(t, open(t, dir), record("shop", "1.5.0", a), path)
	for _, d := range []string{filepath.Dir(dir), dir, filepath.Join(dir, "shop"), filepath.Dir(path)} {
		if err := os.Chmod(d, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(d, 0o755) })
	}
	e := Evidence{CreatedAt: noon}
	done := make(chan error)
	go func() {
		defer close(done)
		// This thread has no rights of root's any more, and ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Setfsuid(nobody); err != nil {
			done <- err
			return
		}
		ctx := context.Background()
		s, err := Open(Config{Location: dir})
		if err != nil {
			done <- err
			return
		}
		if got, err := s.Get(ctx, "shop", "1.5.0"); err != nil || got.Digest != made.Digest {
			done <- fmt.Errorf("it could not be read: %v, %v", got, err)
		}
		_, err = s.Put(ctx, record("shop", "1.5.1", a), path, e)
		done <- err
		done <- s.Writable(ctx, "shop")
		done <- s.Probe(ctx, "shop")
		_, err = s.Put(ctx, record("other", "1.5.1", a), path, e)
		done <- err
		done <- s.Writable(ctx, "other")
		done <- s.Probe(ctx, "other")
	}()
	n := 0
	for err := range done {
		n++
		var access *AccessError
		if !errors.As(err, &access) || access.Reason != ReasonDenied || !access.Write || access.Advice == "" {
			t.Errorf("%v", err)
		}
	}
	if n != 6 {
		t.Errorf("%d answers", n)
	}
}

func TestLayoutExplains(t *testing.T) {
	t.Parallel()
	l := newLayout(Location{Directory: "/srv/store"}, "shop")
	for cause, want := range map[error]struct {
		reason Reason
		says   string
	}{
		unix.EROFS:   {ReasonReadOnly, "file system is read-only"},
		unix.ENOSPC:  {ReasonFull, "Free some space"},
		unix.EDQUOT:  {ReasonFull, "Free some space"},
		unix.EACCES:  {ReasonDenied, "own the directory"},
		unix.ENOTDIR: {ReasonUnreachable, "is a file"},
	} {
		err := l.access(true, &fs.PathError{Op: "open", Path: "/srv/store/shop/index.json", Err: cause})
		var access *AccessError
		if !errors.As(err, &access) || access.Reason != want.reason || !errors.Is(err, cause) ||
			!strings.HasPrefix(err.Error(), "cannot write to the store /srv/store: ") || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%v", err)
		}
	}
}
