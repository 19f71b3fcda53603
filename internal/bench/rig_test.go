// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"os"
	"slices"
	"testing"
)

func TestRigCleansUpHoweverTheRunEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		run  func(r *rig) error
		want error
	}{
		{"well", func(*rig) error { return nil }, nil},
		{"with an error", func(*rig) error { return broken }, broken},
		{"with a failure of what it uses", func(r *rig) error { r.Fatal("no sshd"); return nil }, errFatal},
		{"with a failure that did not end it", func(r *rig) error { r.Error("left behind"); return nil }, errFatal},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := newRig()
			if err != nil {
				t.Fatal(err)
			}
			var order []int
			err = r.run(func() error {
				r.Cleanup(func() { order = append(order, 1) })
				r.Cleanup(func() { order = append(order, 2) })
				r.TempDir()
				return c.run(r)
			})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !slices.Equal(order, []int{2, 1}) {
				t.Errorf("cleaned up in the order %v", order)
			}
			if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
				t.Errorf("%s is still there", r.dir)
			}
		})
	}
}
