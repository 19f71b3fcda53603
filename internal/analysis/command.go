// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/process"
)

// Command runs a program whose last line of output is the number. An empty
// output is no data; a status other than 0 is an error.
type Command struct {
	Argv        []string      // program and arguments
	Dir         string        // "": the current directory
	Environment []string      // KEY=value, all of it; nil: the current one
	Timeout     time.Duration // 0: ten seconds
}

var _ Query = Command{}

// Validate checks that there is a program.
func (q Command) Validate() error {
	if len(q.Argv) == 0 || q.Argv[0] == "" {
		return errors.New("the command is empty")
	}
	return nil
}

// Run runs it; nothing that it starts outlives the call.
func (q Command) Run(ctx context.Context) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(q.Timeout))
	defer cancel()
	var out, errs tail
	cmd := exec.Command(q.Argv[0], q.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = q.Dir, q.Environment, &out, &errs
	err := process.Run(ctx, cmd, process.Options{Grace: time.Second})
	switch {
	case ctx.Err() != nil:
		return Sample{}, fmt.Errorf("command %s: stopped: %w", shorten(q.Argv[0]), context.Cause(ctx))
	case err != nil:
		return Sample{}, fmt.Errorf("command %s: %w: %s", shorten(q.Argv[0]), err, shorten(lastLine(errs.String())))
	}
	line := lastLine(out.String())
	if line == "" {
		return Sample{NoData: true}, nil
	}
	sample, err := number(line)
	if err != nil {
		return Sample{}, fmt.Errorf("command %s: its last line %w", shorten(q.Argv[0]), err)
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

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
