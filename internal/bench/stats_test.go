// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"testing"
	"time"
)

// took makes a series of runs of so many milliseconds.
func took(milliseconds ...int) series {
	var s series
	for _, ms := range milliseconds {
		s = append(s, sample{wall: time.Duration(ms) * time.Millisecond})
	}
	return s
}

func TestSeries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		s              series
		low, mid, high int
	}{
		{"one", took(5), 5, 5, 5},
		{"odd", took(9, 1, 4), 1, 4, 9},
		{"even", took(8, 2, 4, 100), 2, 6, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for what, pair := range map[string][2]time.Duration{
				"minimum": {c.s.min(), time.Duration(c.low) * time.Millisecond},
				"median":  {c.s.median(), time.Duration(c.mid) * time.Millisecond},
				"maximum": {c.s.max(), time.Duration(c.high) * time.Millisecond},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s is %s, want %s", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestSeriesStaysInItsOrder(t *testing.T) {
	t.Parallel()
	s := took(3, 1, 2)
	s.median()
	if s[0].wall != 3*time.Millisecond || s[1].wall != time.Millisecond {
		t.Errorf("the median sorted the runs themselves: %v", s)
	}
}
