// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// job is one stage of a run. What it became is written before done is closed.
type job struct {
	stage   Stage
	done    chan struct{}
	check   Check
	reports []Report
	failure *StageError   // also of a stage that may fail
	needs   map[*job]bool // directly or not
}

// passed says whether stages that need this one may run.
func (j *job) passed() bool { return j.check.Status == Passed || j.check.Status == AllowedFailure }

// engine runs one pipeline once.
type engine struct {
	definition Definition
	options    Options
	jobs       map[string]*job
	order      []*job // every job after those it needs, else by name
	slots      chan struct{}
	abort      context.CancelCauseFunc // ends the run for a reason that is no stage's
}

func run(ctx context.Context, d Definition, options Options) (Result, error) {
	d = d.normal()
	if problems := append(d.Validate(), d.CheckSecrets(options.Secrets)...); len(problems) > 0 {
		var all []error
		for _, p := range problems {
			all = append(all, errors.New(p.String()))
		}
		return Result{}, fmt.Errorf("the pipeline's definition is wrong: %w", errors.Join(all...))
	}
	if d.Source == nil {
		return Result{}, errors.New("the pipeline's artifact was built elsewhere: there is nothing to run")
	}
	if options.Sleep == nil {
		options.Sleep = sleep
	}
	if options.Parallel <= 0 {
		options.Parallel = runtime.NumCPU()
	}
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	e := &engine{definition: d, options: options, jobs: map[string]*job{}, slots: make(chan struct{}, options.Parallel), abort: abort}
	for _, s := range d.Stages {
		e.jobs[s.Name] = &job{stage: s, done: make(chan struct{}), needs: map[*job]bool{}}
	}
	e.sort()
	var all sync.WaitGroup
	for _, j := range e.order {
		all.Go(func() {
			defer close(j.done)
			e.stage(ctx, j)
		})
	}
	all.Wait()
	return e.finish(ctx)
}

// sort puts jobs into an order in which none comes before one it needs.
func (e *engine) sort() {
	placed := map[string]bool{}
	for len(e.order) < len(e.jobs) {
		for _, s := range e.definition.Stages {
			ready := !slices.ContainsFunc(s.Needs, func(need string) bool { return !placed[need] })
			if ready && !placed[s.Name] {
				placed[s.Name] = true
				j := e.jobs[s.Name]
				for _, need := range s.Needs {
					j.needs[e.jobs[need]] = true
					maps.Copy(j.needs, e.jobs[need].needs)
				}
				e.order = append(e.order, j)
			}
		}
	}
}

// stage waits for the stages a job needs and for a free place, and runs it.
func (e *engine) stage(ctx context.Context, j *job) {
	j.check.Status = Skipped
	for _, need := range j.stage.Needs {
		<-e.jobs[need].done
		if !e.jobs[need].passed() {
			return
		}
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return
	}
	if ctx.Err() != nil {
		return
	}
	started := time.Now()
	e.attempts(ctx, j)
	j.check.Duration = time.Since(started)
}

// attempts runs a job until it passes or may not be tried again.
func (e *engine) attempts(ctx context.Context, j *job) {
	for number := 1; ; number++ {
		a := &attempt{engine: e, job: j, number: number, dir: filepath.Join(e.dir(j), fmt.Sprint(number))}
		failure, err := a.run(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause == nil {
				e.abort(fmt.Errorf("stage %q: %w", j.stage.Name, err))
			}
			j.check.Status = Failed
			return
		}
		j.check.Attempts = number
		j.failure = failure
		switch {
		case failure == nil:
			j.check.Status = Passed
			return
		case ctx.Err() != nil || number > j.stage.Retries:
			j.check.Status = Failed
			if j.stage.AllowFailure && ctx.Err() == nil {
				j.check.Status = AllowedFailure
			}
			return
		}
		if e.options.Sleep(ctx, backOff(number)) != nil {
			j.check.Status = Failed
			return
		}
	}
}

// dir is where all of a job's files are.
func (e *engine) dir(j *job) string { return filepath.Join(e.options.Dir, "stages", j.stage.Name) }

// artifacts is where a job's artifacts are, once it has passed.
func (e *engine) artifacts(j *job) string { return filepath.Join(e.dir(j), "artifacts") }

// backOff is how long to wait after a failed attempt: 1, 2, 4 … 30 seconds.
func backOff(attempt int) time.Duration {
	return min(time.Second<<(attempt-1), 30*time.Second)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish collects what the jobs became and, when all is well, makes the
// overlay.
func (e *engine) finish(ctx context.Context) (Result, error) {
	result := Result{Checks: map[string]Check{}}
	var failures []error
	for _, s := range e.definition.Stages {
		j := e.jobs[s.Name]
		result.Checks[s.Name] = j.check
		result.Reports = append(result.Reports, j.reports...)
		if j.failure != nil && j.check.Status == Failed {
			failures = append(failures, j.failure)
		}
	}
	slices.SortFunc(result.Reports, func(a, b Report) int {
		return cmp.Or(strings.Compare(a.Stage, b.Stage), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	if cause := context.Cause(ctx); cause != nil && len(failures) == 0 {
		return result, fmt.Errorf("run the pipeline: %w", cause)
	}
	if len(failures) == 1 {
		return result, failures[0]
	}
	if len(failures) > 1 {
		return result, errors.Join(failures...)
	}
	overlay, err := e.overlay(ctx)
	if err != nil {
		return result, err
	}
	result.Overlay = overlay
	return result, nil
}

// overlay makes a clean checkout with every stage's artifacts over it. A stage
// may change what one it needs has made; two stages that do not need each other
// may not disagree about a file.
func (e *engine) overlay(ctx context.Context) (string, error) {
	dir := filepath.Join(e.options.Dir, "overlay")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("collect the artifacts: %w", err)
	}
	if err := e.options.Checkout(ctx, dir); err != nil {
		return "", err
	}
	for i, j := range e.order {
		for _, earlier := range e.order[:i] {
			if j.needs[earlier] {
				continue
			}
			name, err := differ(ctx, e.artifacts(j), e.artifacts(earlier))
			if err != nil {
				return "", fmt.Errorf("collect the artifacts: %w", err)
			}
			if name != "" {
				return "", fmt.Errorf("the stages %q and %q both made the artifact %q, with different content; let one need the other, or name another file",
					earlier.stage.Name, j.stage.Name, name)
			}
		}
		if err := overlay(ctx, e.artifacts(j), dir); err != nil {
			return "", fmt.Errorf("collect the artifacts of stage %q: %w", j.stage.Name, err)
		}
	}
	return dir, nil
}
