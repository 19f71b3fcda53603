// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// attempt is one try at a stage, in a checkout of its own.
type attempt struct {
	engine  *engine
	job     *job
	number  int
	dir     string
	secrets map[string]string
	log     *output
	before  map[string]fs.FileInfo // files of the checkout where reports will be
}

func (a *attempt) work() string { return filepath.Join(a.dir, "work") }

// run gives what is wrong with the stage, or an error when it could not be
// tried at all.
func (a *attempt) run(ctx context.Context) (failure *StageError, err error) {
	temp := filepath.Join(a.dir, "tmp")
	defer func() { removeAll(a.work()); removeAll(temp) }()
	for _, dir := range []string{a.work(), temp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a place to work in: %w", err)
		}
	}
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	a.secrets = map[string]string{}
	for _, name := range a.job.stage.Secrets {
		a.secrets[name] = a.engine.options.Secrets[name]
	}
	logPath := filepath.Join(a.dir, "output.log")
	if a.log, err = newOutput(logPath, a.engine.options.OutputLimit, a.engine.options.Secrets); err != nil {
		return nil, err
	}
	exit, runErr := a.commands(ctx, temp)
	if err := a.log.Close(); err != nil && runErr == nil {
		runErr = fmt.Errorf("keep the output: %w", err)
	}
	a.job.reports = append(a.job.reports, Report{Stage: a.job.stage.Name, Kind: ReportOutput, Name: a.logName(), Path: logPath})
	return a.judge(ctx, exit, runErr), nil
}

func (a *attempt) logName() string {
	if a.number == 1 {
		return "output.log"
	}
	return fmt.Sprintf("output.%d.log", a.number)
}

// prepare makes the checkout and puts the artifacts of needed stages into it.
func (a *attempt) prepare(ctx context.Context) error {
	if err := a.engine.options.Checkout(ctx, a.work()); err != nil {
		return err
	}
	for _, need := range a.job.stage.Needs {
		if err := overlay(ctx, a.engine.artifacts(a.engine.jobs[need]), a.work()); err != nil {
			return fmt.Errorf("copy the artifacts of stage %q: %w", need, err)
		}
	}
	a.before = map[string]fs.FileInfo{}
	files, err := find(ctx, a.work(), a.job.stage.JUnit())
	for _, name := range files {
		if info, err := os.Lstat(filepath.Join(a.work(), filepath.FromSlash(name))); err == nil {
			a.before[name] = info
		}
	}
	return err
}

func (a *attempt) commands(ctx context.Context, temp string) (Exit, error) {
	stage := a.job.stage
	ctx, cancel := context.WithTimeoutCause(ctx, stage.TimeoutDuration(), errTimeout)
	defer cancel()
	var runner Runner = LocalRunner{}
	if choose := a.engine.options.Runner; choose != nil {
		if chosen := choose(stage); chosen != nil {
			runner = chosen
		}
	}
	exit, err := runner.RunStage(ctx, StageRun{
		Pipeline: a.engine.definition.Name, Stage: stage.Name, Workspace: a.work(),
		Commands: slices.Clone(stage.Commands), Timeout: stage.TimeoutDuration(), Secrets: a.secrets,
		Environment: environment(a.engine.definition, stage, a.engine.options, temp),
	}, a.log)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	return exit, err
}

// judge reads the reports, keeps the artifacts, and says what is wrong.
func (a *attempt) judge(ctx context.Context, exit Exit, runErr error) *StageError {
	counts, reportErr := a.readReports(ctx)
	a.job.check.Tests, a.job.check.Failures, a.job.check.Skipped = counts.tests, counts.failures, counts.skipped
	failure := &StageError{
		Stage: a.job.stage.Name, Command: exit.Command, ExitCode: exit.Code, Attempts: a.number,
		FailingTests: counts.failing, FailingTotal: counts.failures, LogTail: a.log.lastLines(), Err: runErr,
	}
	switch {
	case errors.Is(runErr, errTimeout):
		failure.ExitCode = -1
		failure.Reason = fmt.Sprintf("it was stopped after its timeout of %s", a.job.stage.TimeoutDuration())
		if exit.Command != "" {
			failure.Reason += fmt.Sprintf(", in %q", brief(exit.Command))
		}
		failure.Advice = "Make it faster, or give the stage a longer timeout."
	case context.Cause(ctx) != nil:
		failure.ExitCode, failure.Err = -1, context.Cause(ctx)
		failure.Reason = "it was cancelled"
	case runErr != nil:
		failure.ExitCode, failure.Reason = -1, "it could not be run: "+runErr.Error()
	case exit.Code != 0:
		failure.Reason, failure.Advice = explainExit(exit, failure.LogTail)
	case reportErr != nil:
		failure.Command, failure.Reason, failure.Err = "", reportErr.Error(), reportErr
	case counts.failures > 0:
		failure.Command = ""
		failure.Reason = "its commands succeeded, but its reports name " + numberOf(counts.failures, "failing test")
		failure.Advice = "Let the command fail when a test does; or set allow_failure."
	default:
		err := a.keepArtifacts(ctx)
		if err == nil {
			return nil
		}
		failure.Command, failure.Reason, failure.Err = "", err.Error(), err
	}
	a.clean(failure)
	return failure
}

// clean takes secrets out of everything that a person will see.
func (a *attempt) clean(failure *StageError) {
	secrets := a.engine.options.Secrets
	failure.Reason = redactString(failure.Reason, secrets)
	for i, name := range failure.FailingTests {
		failure.FailingTests[i] = redactString(name, secrets)
	}
}

var notFound = lazyregexp.New(`(?:sh|bash|dash|zsh)?:? ?(?:line )?(?:\d+: )?([^\s:]+): (?:command )?not found`)

func explainExit(exit Exit, log []string) (reason, advice string) {
	what := "a command"
	if exit.Command != "" {
		what = fmt.Sprintf("%q", brief(exit.Command))
	}
	reason = fmt.Sprintf("%s ended with status %d", what, exit.Code)
	switch {
	case exit.Code == 127:
		program := "the command"
		for _, line := range log {
			if match := notFound.FindStringSubmatch(line); match != nil {
				program = fmt.Sprintf("%q", match[1])
			}
		}
		reason += ": a program was not found"
		advice = fmt.Sprintf("Install %s where the pipeline runs, or put it on the PATH; a stage sees PATH and HOME of Terraform's environment and little else.", program)
	case exit.Code == 126:
		reason += ": a file could not be executed"
		advice = "Set its executable bit in the repository (git update-index --chmod=+x), and check its first line."
	case exit.Code == 137:
		reason += ": it was killed"
		advice = "Something killed it; lack of memory is the usual cause."
	case exit.Code > 128 && exit.Code < 160:
		reason += fmt.Sprintf(": it died of signal %d", exit.Code-128)
	}
	return reason, advice
}

// brief is a command's first line, cut short.
func brief(command string) string {
	line, _, more := strings.Cut(strings.TrimSpace(command), "\n")
	line = printable(line, 200)
	if more {
		line += " …"
	}
	return line
}

func (a *attempt) keepArtifacts(ctx context.Context) error {
	patterns := a.job.stage.Artifacts
	if len(patterns) == 0 {
		return nil
	}
	files, err := find(ctx, a.work(), patterns)
	if err != nil {
		return fmt.Errorf("look for its artifacts: %w", err)
	}
	if missing := unmatched(patterns, files); missing != "" {
		return fmt.Errorf("its commands succeeded, but no file matches the artifact %q", missing)
	}
	if err := move(a.work(), a.engine.artifacts(a.job), files); err != nil {
		return fmt.Errorf("keep its artifacts: %w", err)
	}
	return nil
}

// maxReport and maxReports bound what is kept of a stage's reports.
const (
	maxReport  = 256 << 20 // bytes
	maxReports = 1000
)

// readReports reads and keeps the JUnit reports that the stage wrote. Files of
// the checkout that it did not touch are not its reports.
func (a *attempt) readReports(ctx context.Context) (testCounts, error) {
	patterns := a.job.stage.JUnit()
	a.job.reports = slices.DeleteFunc(a.job.reports, func(r Report) bool { return r.Kind == ReportJUnit }) // of an earlier attempt
	if len(patterns) == 0 {
		return testCounts{}, nil
	}
	all, err := find(context.WithoutCancel(ctx), a.work(), patterns)
	if err != nil {
		return testCounts{}, fmt.Errorf("look for its reports: %w", err)
	}
	files := slices.DeleteFunc(all, a.untouched)
	if len(files) > maxReports {
		return testCounts{}, fmt.Errorf("it wrote %d JUnit reports; at most %d are allowed", len(files), maxReports)
	}
	root, err := os.OpenRoot(a.work())
	if err != nil {
		return testCounts{}, err
	}
	defer func() { _ = root.Close() }()
	var counts testCounts
	var failure error
	for i, name := range files {
		more, err := a.readReport(root, i, name)
		if err != nil && failure == nil {
			failure = fmt.Errorf("its JUnit report %s cannot be read: %w", name, err)
		}
		counts.add(more)
	}
	if missing := unmatched(patterns, files); missing != "" && failure == nil {
		failure = fmt.Errorf("it wrote no JUnit report that matches %q", missing)
	}
	return counts, failure
}

func (a *attempt) untouched(name string) bool {
	old := a.before[name]
	if old == nil {
		return false
	}
	now, err := os.Lstat(filepath.Join(a.work(), filepath.FromSlash(name)))
	return err == nil && os.SameFile(old, now) && old.ModTime().Equal(now.ModTime()) && old.Size() == now.Size()
}

func (a *attempt) readReport(root *os.Root, number int, name string) (testCounts, error) {
	info, err := root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return testCounts{}, err
	}
	if !info.Mode().IsRegular() {
		return testCounts{}, errors.New("it is not a plain file")
	}
	if info.Size() > maxReport {
		return testCounts{}, fmt.Errorf("it has %d bytes; at most %d are allowed", info.Size(), maxReport)
	}
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return testCounts{}, err
	}
	defer func() { _ = file.Close() }()
	kept := filepath.Join(a.dir, "reports", reportName(number, name))
	if err := a.keepReport(file, kept); err != nil {
		return testCounts{}, err
	}
	a.job.reports = append(a.job.reports, Report{Stage: a.job.stage.Name, Kind: ReportJUnit, Name: name, Path: kept})
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return testCounts{}, err
	}
	return parseJUnit(io.LimitReader(file, maxReport))
}

func (a *attempt) keepReport(from io.Reader, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	clean := newRedactor(to, a.engine.options.Secrets)
	_, err = io.Copy(clean, io.LimitReader(from, maxReport))
	return errors.Join(err, clean.Close(), to.Close())
}

// removeAll removes a directory, also when a stage made parts of it read-only,
// as Go's module cache is.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}
