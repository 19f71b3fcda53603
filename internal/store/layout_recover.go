// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Waiting for the lock.
const (
	lockPoll  = 20 * time.Millisecond
	lockLimit = 10 * time.Minute
)

// lock waits until no other process or goroutine writes. The system gives the
// lock back when its holder dies.
func (l *layout) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(l.dir, lockFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		held, err := tryLock(f)
		if err == nil && held {
			return f, nil
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			f.Close()
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, &AccessError{
				Location: l.at.String(), Write: true, Reason: ReasonBusy,
				Detail: "another process has been writing to " + l.dir + " all the time",
				Advice: "Wait for it, or end it, and apply again.", Err: ctx.Err(),
			}
		}
	}
}

// recover sweeps what a dead writer left. The lock is held.
func (l *layout) recover() error {
	if _, err := os.Lstat(l.work()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	data, err := os.ReadFile(l.journal())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A journal that was not finished moved nothing.
	var moved []string
	if json.Unmarshal(data, &moved) == nil && len(moved) > 0 {
		if err := l.drop(moved); err != nil {
			return err
		}
	}
	return os.RemoveAll(l.work())
}

// drop removes the blobs that no manifest of the index needs.
func (l *layout) drop(digests []string) error {
	x, err := l.index()
	if err != nil {
		return err
	}
	if len(x.others) > 0 {
		return nil // not ours to judge
	}
	needed, intact := l.needed(x)
	if !intact {
		return nil // removing could only make it worse
	}
	for _, digest := range digests {
		if digestPattern.MatchString(digest) && !needed[digest] {
			if err := os.Remove(l.blobPath(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// needed are the digests of all that the manifests of an index hold. It is not
// intact when one of them cannot be read.
func (l *layout) needed(x *index) (needed map[string]bool, intact bool) {
	needed = map[string]bool{}
	for _, d := range x.tags {
		needed[d.Digest] = true
		data, err := l.blob(context.Background(), d)
		if err != nil {
			return nil, false
		}
		var m manifest
		if json.Unmarshal(data, &m) != nil {
			return nil, false
		}
		needed[m.Config.Digest] = true
		for _, layer := range m.Layers {
			needed[layer.Digest] = true
		}
	}
	return needed, true
}

// writable tries to make a file where the first missing directory would be.
func (l *layout) writable(context.Context) error {
	if err := l.acceptable(); err != nil {
		return l.access(true, err)
	}
	dir := l.dir
	for {
		f, err := os.CreateTemp(dir, ".probe-*")
		if err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return l.access(true, err)
		}
		dir = parent
	}
}
