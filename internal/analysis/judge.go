// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Clock is the judge's notion of time.
type Clock interface {
	Now() time.Time
	// Sleep returns after d, or with the context's error as soon as that is done.
	Sleep(ctx context.Context, d time.Duration) error
}

// NoData says what an answer without a number means. There is no default: the
// one who asks knows whether silence is good.
type NoData string

// What no data can mean.
const (
	NoDataFails  NoData = "fail" // as a measurement that does not hold
	NoDataPasses NoData = "pass"
)

// Criterion is a query that must hold for a time.
type Criterion struct {
	Name  string
	Query Query
	// Success must hold; a measurement for which it does not counts as failed. An
	// infinite one, which divided by zero, never holds.
	Success Condition
	// Failure, where it holds, ends the analysis at once; optional.
	Failure  Condition
	NoData   NoData
	Count    int           // measurements; at least 1
	Interval time.Duration // between them
	// InitialDelay is waited for before the first measurement, which a fresh
	// instance may have no numbers for.
	InitialDelay time.Duration
	// FailureLimit is how many may fail. A query that can never succeed, such as
	// one that Prometheus cannot parse, fails the criterion at once.
	FailureLimit int
}

// Measurement is one sample and its judgement. A query that could not be asked
// counts as failed.
type Measurement struct {
	Time   time.Time
	Sample Sample
	Err    error
	OK     bool
}

// String is the time, what was measured, and whether that is good.
func (m Measurement) String() string {
	what := m.Sample.String()
	if m.Err != nil {
		what = shortenTo(300, m.Err.Error())
	}
	verdict := "holds"
	if !m.OK {
		verdict = "does not hold"
	}
	return m.Time.UTC().Format(time.RFC3339) + "  " + verdict + "  " + what
}

// Report is what was measured.
type Report struct {
	Name         string
	Measurements []Measurement // the last ones, oldest first
	Taken        int           // how many there were
	Failed       int
}

const keptMeasurements = 100

func (r *Report) add(m Measurement) {
	r.Taken++
	if !m.OK {
		r.Failed++
	}
	if len(r.Measurements) == keptMeasurements {
		r.Measurements = append(r.Measurements[:0], r.Measurements[1:]...)
	}
	r.Measurements = append(r.Measurements, m)
}

// FailedError says why a criterion does not hold.
type FailedError struct {
	Report Report
	Why    string // one sentence
}

// Error is the criterion's name and why.
func (e *FailedError) Error() string { return e.Report.Name + ": " + e.Why }

// Validate says what is wrong with the criterion itself.
func (c Criterion) Validate() error {
	switch {
	case c.Query == nil:
		return errors.New("there is no query")
	case c.Success.IsZero():
		return errors.New("there is no success condition")
	case c.Count < 1:
		return errors.New("count must be at least 1")
	case c.Interval < 0 || c.InitialDelay < 0:
		return errors.New("interval and initial delay must not be negative")
	case c.Count > 1 && c.Interval == 0:
		return errors.New("several measurements need an interval between them")
	case c.FailureLimit < 0 || c.FailureLimit >= c.Count:
		return errors.New("failure_limit must be at least 0 and less than count")
	case c.NoData != NoDataFails && c.NoData != NoDataPasses:
		return fmt.Errorf("no_data must be %q or %q", NoDataFails, NoDataPasses)
	}
	return c.Query.Validate()
}

// Judge measures, and ends as soon as it is decided. It returns nil if the
// criterion holds, a [*FailedError] if it does not, and another error if the
// context ended first or the criterion makes no sense.
func (c Criterion) Judge(ctx context.Context, clock Clock) (Report, error) {
	report := Report{Name: c.Name}
	if err := c.Validate(); err != nil {
		return report, fmt.Errorf("%s: %w", c.Name, err)
	}
	pause := c.InitialDelay
	for n := range c.Count {
		if pause > 0 {
			if err := clock.Sleep(ctx, pause); err != nil {
				return report, c.stopped(n, err)
			}
		}
		pause = c.Interval
		sample, err := c.Query.Run(ctx)
		if ctx.Err() != nil {
			return report, c.stopped(n, context.Cause(ctx))
		}
		m := Measurement{Time: clock.Now(), Sample: sample, Err: err}
		ends := err == nil && !sample.NoData && c.Failure.Holds(sample.Value)
		m.OK = err == nil && !ends && c.holds(sample)
		report.add(m)
		hopeless := hopelessError{}
		switch {
		case ends:
			return report, &FailedError{Report: report, Why: fmt.Sprintf("%s is %s, which ends the analysis", sample, c.Failure)}
		case errors.As(err, &hopeless):
			return report, &FailedError{Report: report, Why: err.Error()}
		case report.Failed > c.FailureLimit:
			return report, &FailedError{Report: report, Why: c.why(m, report.Failed)}
		}
	}
	return report, nil
}

func (c Criterion) stopped(taken int, err error) error {
	return fmt.Errorf("%s: analysis stopped after %d of %d measurements: %w", c.Name, taken, c.Count, err)
}

func (c Criterion) holds(sample Sample) bool {
	if sample.NoData {
		return c.NoData == NoDataPasses
	}
	return !math.IsInf(sample.Value, 0) && c.Success.Holds(sample.Value)
}

func (c Criterion) why(last Measurement, failed int) string {
	var what string
	switch {
	case last.Err != nil:
		what = last.Err.Error()
	case last.Sample.NoData:
		what = "there is no data"
	case math.IsInf(last.Sample.Value, 0):
		what = fmt.Sprintf("%s is infinite, which never counts as %s", last.Sample, c.Success)
	default:
		what = fmt.Sprintf("%s is not %s", last.Sample, c.Success)
	}
	if c.Count > 1 {
		what += fmt.Sprintf(" (%d failed measurements, %d allowed)", failed, c.FailureLimit)
	}
	return what
}
