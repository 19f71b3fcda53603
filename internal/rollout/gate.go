// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// watchEvery is how often instances are asked for their health in a pause.
const watchEvery = 5 * time.Second

// stillTries is how often in a row an instance may not pass after a pause.
const stillTries = 3

// pass waits at a gate, makes sure that what was brought to the revision is still
// healthy, and has it analyzed.
func (r *run) pass(ctx context.Context, g gate, pending []*member) []Failure {
	brought := slices.DeleteFunc(slices.Clone(pending), func(m *member) bool { return !m.switched || m.gaveUp })
	if g.pause > 0 {
		r.note(StepPause, fmt.Sprintf("waiting %s before going on", g.pause))
		done := r.began(string(StepPause))
		failures := r.watch(ctx, brought, g.pause)
		done(firstError(failures))
		if len(failures) > 0 || ctx.Err() != nil {
			return failures
		}
	}
	if g.analyze {
		return r.analyze(ctx, Gate{Instances: idsOf(brought), Analyses: g.names})
	}
	return nil
}

// watch waits, and ends as soon as one of the members is not healthy any more.
func (r *run) watch(ctx context.Context, members []*member, pause time.Duration) []Failure {
	every := max(watchEvery, r.plan.Health.Interval)
	for pause > 0 {
		if r.clock.Sleep(ctx, min(pause, every)) != nil {
			return nil
		}
		pause -= every
		if failures := r.stillHealthy(ctx, members); len(failures) > 0 || ctx.Err() != nil {
			return failures
		}
	}
	return nil
}

// stillHealthy asks everybody once more; who does not pass is asked again.
func (r *run) stillHealthy(ctx context.Context, members []*member) []Failure {
	together, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return each(members, func(m *member) *Failure {
		var res deployer.CheckResult
		for try := range stillTries {
			if try > 0 && r.clock.Sleep(together, r.plan.Health.Interval) != nil {
				return nil
			}
			var err *deployer.Error
			res, err = r.check(together, m, r.plan.Revision.ID, 0)
			switch {
			case err != nil && !passing(err.Code):
				return r.outcome(together, stop, m, StepCheck, r.uncheckable(m, err))
			case err != nil:
				res = deployer.CheckResult{Status: deployer.CheckFail, Reason: err.Message, Log: err.Log}
			case res.Status == deployer.CheckPass:
				return nil
			}
			if res.Status == deployer.CheckDead {
				break
			}
		}
		if together.Err() != nil {
			return nil
		}
		m.healthy = false
		return r.outcome(together, stop, m, StepCheck, &deployer.Error{
			Code: deployer.CodeFailed, Instance: m.ID, Step: string(StepCheck), Log: res.Log,
			Message: "it was healthy and is not any more: " + reason(res, "no reason given"),
		})
	})
}

// analyze asks the Analyzer.
func (r *run) analyze(ctx context.Context, g Gate) []Failure {
	if r.engine.Analyzer == nil {
		return nil
	}
	g.Revision = r.plan.Revision.RevisionInfo
	r.note(StepAnalysis, "analysis of the new revision")
	done := r.began(string(StepAnalysis))
	err := r.call(StepAnalysis, "", func() error { return r.engine.Analyzer.Analyze(ctx, g) })
	if err == nil || ctx.Err() != nil {
		done(nil)
		return nil
	}
	done(err)
	return []Failure{{Step: StepAnalysis, Err: err}}
}
