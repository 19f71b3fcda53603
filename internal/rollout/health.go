// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	defaultInterval = time.Second
	defaultTimeout  = 5 * time.Second
	defaultDeadline = 2 * time.Minute
	// firstPause is how soon a new instance is asked again; it doubles up to the
	// interval, so that a fast one is not waited for.
	firstPause = 50 * time.Millisecond
)

func (h HealthCheck) withDefaults(minHealthy time.Duration) HealthCheck {
	if h.Interval <= 0 {
		h.Interval = defaultInterval
	}
	if h.Timeout <= 0 {
		h.Timeout = defaultTimeout
	}
	if h.HealthyDeadline <= 0 {
		h.HealthyDeadline = defaultDeadline
	}
	h.HealthyDeadline = max(h.HealthyDeadline, minHealthy+time.Duration(max(h.HealthyThreshold, 1))*h.Interval, h.StartPeriod)
	return h
}

// awaitHealthy returns nil when the revision has been healthy on the instance
// for some time without a break. A dead one fails at once, one that answers badly
// too often in a row when its start period is over, any other at the deadline.
func (r *run) awaitHealthy(ctx context.Context, m *member, revision string, enough time.Duration) *deployer.Error {
	health := r.plan.Health
	began := r.clock.Now()
	deadline := began.Add(health.HealthyDeadline)
	passed, failed := 0, 0 // probes in a row; of failed ones at most one in each interval
	var counted time.Time  // when a failed one was
	last := deployer.CheckResult{Reason: "it was never seen healthy"}
	var since time.Time // healthy without a break; zero: not now
	pause := min(firstPause, health.Interval)
	for {
		asked := r.clock.Now()
		var wait time.Duration
		if since.IsZero() {
			wait = max(min(health.Interval, deadline.Sub(asked)), 0)
		}
		res, err := r.check(ctx, m, revision, wait)
		answered := r.clock.Now()
		next := health.Interval
		switch {
		case ctx.Err() != nil:
			return interrupted(ctx)
		case err != nil && !passing(err.Code):
			return r.uncheckable(m, err)
		case err == nil && res.Status == deployer.CheckPass:
			if since.IsZero() {
				since = asked
				if wait > 0 {
					since = answered // it may have passed at any time of the wait
				}
			}
			passed, failed = passed+1, 0
			left := enough - answered.Sub(since)
			if left <= 0 && passed >= health.HealthyThreshold {
				return nil
			}
			if left > 0 && passed+1 >= health.HealthyThreshold {
				next = min(next, left)
			}
		case err == nil && res.Status == deployer.CheckDead:
			return &deployer.Error{Code: deployer.CodeFailed, Instance: m.ID, Step: string(StepCheck), Message: reason(res, "it died"), Log: res.Log}
		default:
			since, passed = time.Time{}, 0
			if err == nil && res.Status == deployer.CheckFail && answered.Sub(began) >= health.StartPeriod && answered.Sub(counted) >= health.Interval {
				failed, counted = failed+1, answered
			}
			if health.UnhealthyThreshold > 0 && failed >= health.UnhealthyThreshold {
				return &deployer.Error{
					Code: deployer.CodeFailed, Instance: m.ID, Step: string(StepCheck), Log: res.Log,
					Message: fmt.Sprintf("it answered badly %d times in a row: %s", failed, reason(res, "no reason given")),
				}
			}
			if err != nil {
				res = deployer.CheckResult{Reason: err.Message, Log: err.Log}
			}
			last = res
			next = max(pause-answered.Sub(asked), 0)
			pause = min(2*pause, health.Interval)
		}
		left := deadline.Sub(answered)
		if left <= 0 {
			return &deployer.Error{
				Code: deployer.CodeFailed, Instance: m.ID, Step: string(StepCheck), Log: last.Log,
				Message: "it was not healthy" + forAtLeast(enough) + " within " + health.HealthyDeadline.String() + ": " + reason(last, "no reason given"),
			}
		}
		if r.clock.Sleep(ctx, min(next, left)) != nil {
			return interrupted(ctx)
		}
	}
}

// check asks once.
func (r *run) check(ctx context.Context, m *member, revision string, wait time.Duration) (deployer.CheckResult, *deployer.Error) {
	select {
	case <-ctx.Done():
		return deployer.CheckResult{}, interrupted(ctx)
	case r.checks <- struct{}{}:
		defer func() { <-r.checks }()
	}
	var res deployer.CheckResult
	err := r.call(StepCheck, m.ID, func() (err error) {
		res, err = r.engine.Deployer.Check(ctx, deployer.CheckRequest{
			Target: r.plan.Target, Instance: m.ID, RevisionID: revision, Probe: r.plan.Health.Probe,
			Timeout: r.plan.Health.Timeout, Wait: wait, Opaque: m.opaque,
		})
		return err
	})
	return res, err
}

// passing says whether an error of a check may pass by itself.
func passing(code deployer.Code) bool {
	return code == deployer.CodeFailed || code == deployer.CodeUnreachable || code == deployer.CodeInterrupted
}

// uncheckable judges an error that ends the waiting. A platform without any view
// of its own is only a warning.
func (r *run) uncheckable(m *member, err *deployer.Error) *deployer.Error {
	if err.Code == deployer.CodeUnsupported && r.plan.Health.Probe == (deployer.Probe{}) {
		r.warn(m.ID + ": this deployer cannot tell whether a revision is healthy; a health_check block would.")
		return nil
	}
	return err
}

func reason(res deployer.CheckResult, otherwise string) string {
	if res.Reason == "" {
		return otherwise
	}
	return res.Reason
}

func forAtLeast(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return " for " + d.String()
}
