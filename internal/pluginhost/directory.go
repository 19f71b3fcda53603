// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	directoryPrefix = "dlvhost-"
	lockFile        = "lock"
	abandonedFile   = "abandoned"
	// abandonedFor is longer than a deployer needs to end after its host is
	// gone: its directory is not taken away under it.
	abandonedFor = 2 * time.Minute
	// longestBase leaves room for the names below it: a socket's path may have
	// some hundred characters.
	longestBase = 30
)

// runDirectory is where a host keeps sockets, copies and private directories:
// short, of this user alone, locked as long as the host lives.
type runDirectory struct {
	path string
	lock *os.File
}

func newRunDirectory() (*runDirectory, error) {
	base := baseDirectory(os.TempDir())
	sweep(base, time.Now())
	path, err := os.MkdirTemp(base, directoryPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a private directory: %w", err)
	}
	lock, err := lockNew(filepath.Join(path, lockFile))
	if err != nil {
		_ = os.RemoveAll(path)
		return nil, fmt.Errorf("lock a private directory: %w", err)
	}
	return &runDirectory{path: path, lock: lock}, nil
}

// sub makes a directory for one process.
func (d *runDirectory) sub() (string, error) {
	return os.MkdirTemp(d.path, "")
}

func (d *runDirectory) remove() {
	if runtime.GOOS == "windows" { // an open file cannot be removed there
		_ = d.lock.Close()
	}
	_ = os.RemoveAll(d.path)
	_ = d.lock.Close()
}

// baseDirectory is temp, unless that is too long for sockets.
func baseDirectory(temp string) string {
	if runtime.GOOS != "windows" && len(temp) > longestBase {
		return "/tmp"
	}
	return temp
}

// sweep removes what hosts left that were killed: first it notes that nobody
// holds the lock any more, and a later one removes the directory.
func sweep(base string, now time.Time) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		path := filepath.Join(base, entry.Name())
		if !strings.HasPrefix(entry.Name(), directoryPrefix) || !entry.IsDir() || !ownPrivate(path) {
			continue
		}
		lock := filepath.Join(path, lockFile)
		if _, err := os.Lstat(lock); err != nil || !lockIsFree(lock) {
			continue
		}
		mark := filepath.Join(path, abandonedFile)
		info, err := os.Lstat(mark)
		switch {
		case err != nil:
			if f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
				_ = f.Close()
			}
		case now.Sub(info.ModTime()) > abandonedFor:
			_ = os.RemoveAll(path)
		}
	}
}
