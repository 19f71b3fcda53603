// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " S 7 42 42 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 100 0 0"
	for _, c := range []struct {
		name, stat string
		want       process
		ok         bool
	}{
		{"plain", "42 (sshd)" + rest, process{42, 7, time.Second}, true},
		{"a name like the rest", "42 (a) S 1 (b)" + rest, process{42, 7, time.Second}, true},
		{"short", "42 (sshd) S 7", process{}, false},
		{"empty", "", process{}, false},
		{"no number", "x (sshd)" + rest, process{}, false},
		{"parentheses the wrong way", ")(", process{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := parseStat(c.stat); got != c.want || ok != c.ok {
				t.Errorf("got %v %v, want %v %v", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestParsePeak(t *testing.T) {
	t.Parallel()
	if got := parsePeak("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n"); got != 2<<20 {
		t.Errorf("got %d bytes, want 2 MiB", got)
	}
	for _, none := range []string{"", "VmHWM:", "VmHWM:\tmuch kB\n", "Name:\tVmHWM: 1 kB\n"} {
		if got := parsePeak(none); got != 0 {
			t.Errorf("%q: got %d, want 0", none, got)
		}
	}
}
