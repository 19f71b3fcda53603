// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
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
	// Success must hold; a measurement for which it does not counts as failed.
	Success Condition
	// Failure, where it holds, ends the analysis at once; optional.
	Failure      Condition
	NoData       NoData
	Count        int           // measurements; at least 1
	Interval     time.Duration // between them
	FailureLimit int           // how many may fail
}

// Measurement is one sample and its judgement. A query that could not be asked
// counts as failed.
type Measurement struct {
	Time   time.Time
	Sample Sample
	Err    error
	OK     bool
}

// Report is what was measured.
type Report struct {
	Name         string
	Measurements []Measurement
	Failed       int
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
	case c.Interval < 0:
		return errors.New("interval must not be negative")
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
	for n := range c.Count {
		if n > 0 {
			if err := clock.Sleep(ctx, c.Interval); err != nil {
				return report, fmt.Errorf("%s: analysis stopped after %d of %d measurements: %w", c.Name, n, c.Count, err)
			}
		}
		sample, err := c.Query.Run(ctx)
		if ctx.Err() != nil {
			return report, fmt.Errorf("%s: analysis stopped after %d of %d measurements: %w", c.Name, n, c.Count, ctx.Err())
		}
		m := Measurement{Time: clock.Now(), Sample: sample, Err: err}
		m.OK = err == nil && c.holds(sample)
		report.Measurements = append(report.Measurements, m)
		if err == nil && !sample.NoData && c.Failure.Holds(sample.Value) {
			report.Failed++
			return report, &FailedError{Report: report, Why: fmt.Sprintf("%s is %s, which ends the analysis", formatNumber(sample.Value), c.Failure)}
		}
		if m.OK {
			continue
		}
		if report.Failed++; report.Failed > c.FailureLimit {
			return report, &FailedError{Report: report, Why: c.why(m, report.Failed)}
		}
	}
	return report, nil
}

func (c Criterion) holds(sample Sample) bool {
	if sample.NoData {
		return c.NoData == NoDataPasses
	}
	return c.Success.Holds(sample.Value)
}

func (c Criterion) why(last Measurement, failed int) string {
	var what string
	switch {
	case last.Err != nil:
		what = last.Err.Error()
	case last.Sample.NoData:
		what = "there is no data"
	default:
		what = fmt.Sprintf("%s is not %s", formatNumber(last.Sample.Value), c.Success)
	}
	if c.Count > 1 {
		what += fmt.Sprintf(" (%d failed measurements, %d allowed)", failed, c.FailureLimit)
	}
	return what
}
