// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/process"
)

// Command runs a program where Terraform runs. The last line of its output is
// the number, an empty output is no data, a status other than 0 is an error.
type Command struct {
	Argv        []string      // program and arguments; not for secrets
	Dir         string        // "": the current directory
	Environment []string      // KEY=value, all of it but what a [Subject] adds; nil: the current one
	Timeout     time.Duration // 0: ten seconds
}

var _ Query = Command{}

// Validate checks that there is a program.
func (q Command) Validate() error {
	if len(q.Argv) == 0 || q.Argv[0] == "" {
		return errors.New("the command is empty")
	}
	return checkTimeout(q.Timeout)
}

// About adds the subject's variables. The arguments stay as they are: what is
// substituted into a shell's script could be read as a part of it.
func (q Command) About(subject Subject) (Query, error) {
	if q.Environment == nil {
		q.Environment = os.Environ()
	}
	q.Environment = slices.Concat(q.Environment, subject.variables())
	return q, nil
}

// String names the program only: its arguments may be long.
func (q Command) String() string {
	if len(q.Argv) == 0 {
		return "no command"
	}
	text := "the command " + shorten(q.Argv[0])
	if len(q.Argv) > 1 {
		text += " …"
	}
	return text
}

// OutputError is a command that failed, with the end of what it said.
type OutputError struct {
	Err    error
	Output []string // last lines, oldest first
}

// Error is the error and the last line.
func (e *OutputError) Error() string {
	text := e.Err.Error()
	if len(e.Output) == 0 || strings.Contains(text, e.Output[len(e.Output)-1]) {
		return text
	}
	return text + ": " + shortenTo(200, e.Output[len(e.Output)-1])
}

// Unwrap gives the error without the output.
func (e *OutputError) Unwrap() error { return e.Err }

// Run runs it; nothing that it starts outlives the call.
func (q Command) Run(ctx context.Context) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, hopelessError{err}
	}
	ctx, cancel := bounded(ctx, q.Timeout)
	defer cancel()
	var out, errs tail
	cmd := exec.Command(q.Argv[0], q.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = q.Dir, q.Environment, &out, &errs
	err := process.Run(ctx, cmd, process.Options{Grace: time.Second, Sweep: true})
	said := append(lastLines(out.String()), lastLines(errs.String())...)
	switch {
	case errors.Is(context.Cause(ctx), errTooLate) && err != nil:
		return Sample{}, &OutputError{fmt.Errorf("%s did not end within %s", q, orDefault(q.Timeout)), said}
	case ctx.Err() != nil:
		return Sample{}, fmt.Errorf("%s was stopped: %w", q, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return Sample{}, hopelessError{fmt.Errorf("%s cannot be started: %w", q, err)}
	case err != nil:
		return Sample{}, &OutputError{fmt.Errorf("%s failed: %w", q, err), said}
	}
	lines := lastLines(out.String())
	if len(lines) == 0 {
		return Sample{NoData: true}, nil
	}
	sample, err := measured(lines[len(lines)-1])
	if err != nil {
		return Sample{}, &OutputError{fmt.Errorf("the last line of %s: %w", q, err), said}
	}
	return sample, nil
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

const tailBytes = 64 << 10

// Write keeps at least the last tailBytes, and at most twice as many.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, len(p)-tailBytes):]
	if len(t.kept)+len(p) > 2*tailBytes {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailBytes:]...)
	}
	t.kept = append(t.kept, p...)
	return n, nil
}

func (t *tail) String() string { return string(t.kept) }

// lastLines are the last lines of a text that are not empty.
func lastLines(text string) []string {
	const most = 10
	var lines []string
	for text = strings.TrimSpace(text); text != "" && len(lines) < most; {
		at := strings.LastIndexByte(text, '\n')
		lines = append(lines, strings.TrimSpace(shortenTo(300, text[at+1:])))
		text = strings.TrimSpace(text[:max(at, 0)])
	}
	slices.Reverse(lines)
	return lines
}
