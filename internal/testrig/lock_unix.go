// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package testrig

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// locked runs do while no other process is in locked for the same directory.
func locked(dir string, do func() error) error {
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		return do()
	}
}
