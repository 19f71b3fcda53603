// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// stepAnalysis is the step that errors of analyses name.
const stepAnalysis = "analysis"

// CheckAnalyses finds what is wrong with the analyses themselves, and steps of
// the strategy that name one which there is not. Nobody is asked. Its error is
// a [*deployer.Error].
func (s Spec) CheckAnalyses() error {
	var names []string
	for _, c := range s.Analyses {
		switch {
		case c.Name == "":
			return invalidAnalysis("an analysis has no name")
		case slices.Contains(names, c.Name):
			return invalidAnalysis("there are two analyses %q", c.Name)
		}
		if err := c.Validate(); err != nil {
			return invalidAnalysis("analysis %q: %v", c.Name, err)
		}
		names = append(names, c.Name)
	}
	canary, ok := s.Strategy.(rollout.Canary)
	if !ok {
		return nil
	}
	for n, step := range canary.Steps {
		for _, name := range step.Analyses {
			if !slices.Contains(names, name) {
				return invalidAnalysis("step %d of the canary names the analysis %q, which there is not", n+1, name)
			}
		}
	}
	return nil
}

func invalidAnalysis(format string, args ...any) error {
	err := deployer.Errorf(deployer.CodeInvalid, format, args...)
	err.Step = stepAnalysis
	return err
}

// analyzer judges a revision by the analyses of a deployment.
type analyzer struct {
	criteria []analysis.Criterion
	clock    analysis.Clock
}

var _ rollout.Analyzer = analyzer{}

// analyzer is nil for a spec without analyses.
func (s Spec) analyzer() rollout.Analyzer {
	if len(s.Analyses) == 0 {
		return nil
	}
	return analyzer{criteria: s.Analyses, clock: rollout.SystemClock{}}
}

// Analyze runs the gate's analyses side by side, and stops the others when one
// has failed. The error is a [*deployer.Error].
func (a analyzer) Analyze(ctx context.Context, gate rollout.Gate) error {
	criteria, err := a.of(gate)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var (
		all    sync.WaitGroup
		once   sync.Once
		failed error
	)
	for _, c := range criteria {
		all.Go(func() {
			report, err := c.Judge(running, a.clock)
			if err == nil {
				return
			}
			once.Do(func() {
				failed = explainAnalysis(ctx, gate, c, report, err)
				stop()
			})
		})
	}
	all.Wait()
	return failed
}

// of gives the analyses that a gate names, about its revision.
func (a analyzer) of(gate rollout.Gate) ([]analysis.Criterion, error) {
	for _, name := range gate.Analyses {
		if !slices.ContainsFunc(a.criteria, func(c analysis.Criterion) bool { return c.Name == name }) {
			return nil, invalidAnalysis("there is no analysis %q", name)
		}
	}
	subject := analysis.Subject{
		Revision: gate.Revision.ID, Release: gate.Revision.ReleaseID, Version: gate.Revision.Version, Commit: gate.Revision.Commit,
		Instances: gate.Instances,
	}
	var wanted []analysis.Criterion
	for _, c := range a.criteria {
		if gate.Analyses != nil && !slices.Contains(gate.Analyses, c.Name) {
			continue
		}
		query, err := c.Query.About(subject)
		if err != nil {
			return nil, invalidAnalysis("analysis %q: %v", c.Name, err)
		}
		c.Query = query
		wanted = append(wanted, c)
	}
	return wanted, nil
}

// explainAnalysis says which analysis failed, by what it asked, by which
// numbers, and what to do.
func explainAnalysis(ctx context.Context, gate rollout.Gate, c analysis.Criterion, report analysis.Report, err error) error {
	e := &deployer.Error{Code: deployer.CodeFailed, Step: stepAnalysis, Log: measurements(report)}
	failed := &analysis.FailedError{}
	switch {
	case errors.As(err, &failed):
		e.Message = fmt.Sprintf("analysis %q does not hold: %s. It must be %s%s, and asks: %s", c.Name, failed.Why, c.Success, orEnd(c), c.Query)
		e.Advice = adviceOf(gate, c.Name, report)
	case ctx.Err() != nil:
		e.Code = deployer.CodeInterrupted
		e.Message = err.Error()
	default:
		e.Message = fmt.Sprintf("analysis %q: %v", c.Name, err)
		e.Advice = "Correct the analysis in the configuration"
	}
	return e
}

func orEnd(c analysis.Criterion) string {
	if c.Failure.IsZero() {
		return ""
	}
	return " and never " + c.Failure.String()
}

// measurements are the last ones, and what a command said at the end.
func measurements(report analysis.Report) []string {
	const most = 10
	last := report.Measurements[max(0, len(report.Measurements)-most):]
	var lines []string
	if left := report.Taken - len(last); left > 0 {
		lines = append(lines, fmt.Sprintf("(%d earlier measurements)", left))
	}
	for _, m := range last {
		lines = append(lines, m.String())
	}
	said := &analysis.OutputError{}
	if len(last) > 0 && errors.As(last[len(last)-1].Err, &said) {
		lines = append(lines, "Output of the last one:")
		lines = append(lines, said.Output...)
	}
	return lines
}

// adviceOf tells a revision with bad numbers from numbers that nobody gave.
func adviceOf(gate rollout.Gate, name string, report analysis.Report) string {
	unasked, silent := 0, 0
	for _, m := range report.Measurements {
		switch {
		case m.OK:
		case m.Err != nil:
			unasked++
		case m.Sample.NoData:
			silent++
		}
	}
	switch report.Failed {
	case unasked:
		return fmt.Sprintf("Nothing is known against the revision: make the query of analysis %q answer, then apply again", name)
	case silent:
		return fmt.Sprintf("Make sure that the query of analysis %q selects what revision %s reports and that it had traffic, or set no_data to \"pass\"", name, gate.Revision.ID)
	}
	where := strings.Join(gate.Instances[:min(len(gate.Instances), 5)], ", ")
	if more := len(gate.Instances) - 5; more > 0 {
		where += fmt.Sprintf(" and %d more", more)
	}
	if where != "" {
		where = " on " + where
	}
	return fmt.Sprintf("Find out what revision %s does%s; if it does well, correct the conditions of analysis %q", gate.Revision.ID, where, name)
}
