// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"slices"
	"time"
)

// A sample is one timed run.
type sample struct {
	wall time.Duration
	tool time.Duration // processor time of the tool itself
	all  time.Duration // processor time of the tool and the hosts; 0: not known
}

// A series is all runs of one tool in one scenario.
type series []sample

func (s series) min() time.Duration    { return slices.Min(s.each(wall)) }
func (s series) max() time.Duration    { return slices.Max(s.each(wall)) }
func (s series) median() time.Duration { return middle(s.each(wall)) }

func wall(s sample) time.Duration { return s.wall }
func tool(s sample) time.Duration { return s.tool }
func all(s sample) time.Duration  { return s.all }

func (s series) each(of func(sample) time.Duration) []time.Duration {
	values := make([]time.Duration, 0, len(s))
	for _, one := range s {
		values = append(values, of(one))
	}
	return values
}

// middle is the median; of an even number, the mean of the two in the middle.
func middle(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
