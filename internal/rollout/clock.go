// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"time"
)

// Clock is the engine's only notion of time.
type Clock interface {
	Now() time.Time
	// Sleep returns after d, or with the context's error as soon as that is done.
	Sleep(ctx context.Context, d time.Duration) error
	// AfterFunc calls f in its own goroutine after d, unless stop is called first.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// SystemClock is the machine's clock.
type SystemClock struct{}

var _ Clock = SystemClock{}

// Now is time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep waits on a timer.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// AfterFunc is time.AfterFunc.
func (SystemClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// background is a Sleep of something that nobody waits for.
func background(ctx context.Context, clock Clock, d time.Duration) error {
	due := make(chan struct{})
	defer clock.AfterFunc(d, func() { close(due) })()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-due:
		return nil
	}
}

// withTimeout is context.WithTimeout by a clock. The cause of its end by time
// is context.DeadlineExceeded.
func withTimeout(ctx context.Context, clock Clock, d time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithCancelCause(ctx)
	if d <= 0 {
		cancel(context.DeadlineExceeded)
	}
	stop := clock.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return bounded, func() {
		stop()
		cancel(context.Canceled)
	}
}
