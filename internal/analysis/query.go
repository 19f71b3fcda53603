// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 10 * time.Minute
	maxAnswer      = 1 << 20 // bytes of an answer
)

// Query measures one number.
type Query interface {
	// Run asks once. It is bounded in time and in what it reads.
	Run(ctx context.Context) (Sample, error)
	// Validate says what is wrong with the query itself; it asks nobody.
	Validate() error
	// About is the query with a subject in place of its placeholders.
	About(subject Subject) (Query, error)
	// String says what is asked, in one line and without secrets.
	String() string
}

// Sample is one measurement.
type Sample struct {
	Value  float64
	NoData bool // there was an answer, and no number in it
}

// String is the number, or that there is none.
func (s Sample) String() string {
	if s.NoData {
		return "no data"
	}
	return formatNumber(s.Value)
}

// hopelessError is one that asking again cannot change.
type hopelessError struct{ error }

func (e hopelessError) Unwrap() error { return e.error }

func checkTimeout(timeout time.Duration) error {
	if timeout < 0 || timeout > maxTimeout {
		return fmt.Errorf("timeout must be between 0 and %s", maxTimeout)
	}
	return nil
}

// errTooLate is the cause of a context whose query took too long.
var errTooLate = errors.New("it took too long")

// bounded is the time that one measurement may take.
func bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, orDefault(timeout), errTooLate)
}

func orDefault(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return defaultTimeout
	}
	return timeout
}
