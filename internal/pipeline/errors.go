// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"fmt"
	"strings"
)

// maxNamedTests bounds how many failing tests an error names.
const maxNamedTests = 20

// StageError is a stage that failed.
type StageError struct {
	Stage        string
	Command      string   // the one that failed; "" when it was none
	ExitCode     int      // of the command; -1 when it has none
	Reason       string   // what failed and why, one sentence
	FailingTests []string // at most 20; FailingTotal counts all
	FailingTotal int
	LogTail      []string // last lines of output, oldest first, without secrets
	Advice       string   // what to do; may be empty
	Attempts     int
	Err          error // cause, such as context.Canceled; may be nil
}

// Error is the reason with the failing tests, the last lines and the advice,
// over several lines.
func (e *StageError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stage %q: %s", e.Stage, e.Reason)
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (attempt %d)", e.Attempts)
	}
	if len(e.FailingTests) > 0 {
		b.WriteString("\nFailing tests:")
		for _, name := range e.FailingTests {
			b.WriteString("\n  " + name)
		}
		if more := e.FailingTotal - len(e.FailingTests); more > 0 {
			fmt.Fprintf(&b, "\n  and %d more", more)
		}
	}
	if len(e.LogTail) > 0 {
		b.WriteString("\nLast lines of output:")
		for _, line := range e.LogTail {
			b.WriteString("\n  " + line)
		}
	}
	if e.Advice != "" {
		b.WriteString("\n" + e.Advice)
	}
	return b.String()
}

// numberOf is a number of things whose plural has an s.
func numberOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Unwrap gives the cause.
func (e *StageError) Unwrap() error { return e.Err }
