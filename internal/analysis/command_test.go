// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package analysis_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
)

func sh(script string) analysis.Command {
	return analysis.Command{Argv: []string{"sh", "-c", script}}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"echo measuring; echo 0.75": "0.75",
		"true":                      "no data",
		"echo NaN":                  "no data",
		"echo none":                 "the last line of the command sh …: \"none\" is not a decimal number",
		"echo why >&2; exit 3":      "failed: exit status 3: why",
		"yes 1234567 | head -c 500000; echo; echo 8": "8",
	} {
		expect(t, script, sh(script), want)
	}
	expect(t, "missing", analysis.Command{Argv: []string{"/no/such/program"}}, "cannot be started")
}

func TestNothingOutlivesACommand(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"stopped": "wait", "left behind": "echo 1"} {
		fifo := filepath.Join(t.TempDir(), "held")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		closed := make(chan error, 1)
		go func() {
			f, err := os.Open(fifo) // until the command opens the other end
			if name == "stopped" {
				stop()
			}
			if err == nil {
				_, err = io.ReadAll(f) // until nobody has it any more
				_ = f.Close()
			}
			closed <- err
		}()
		query := sh("exec 9>" + fifo + "; sleep 600 >/dev/null 2>&1 & " + end)
		query.Timeout = time.Minute
		_, err := query.Run(ctx)
		if (err != nil) != (name == "stopped") || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		stop()
	}
}

func TestACommandThatTakesTooLong(t *testing.T) {
	t.Parallel()
	query := sh("echo waiting; sleep 600")
	query.Timeout = 50 * time.Millisecond
	expect(t, "too long", query, "the command sh … did not end within 50ms")
}

// A command is told what it is about, and none of that can become code.
func TestCommandsKnowTheirSubject(t *testing.T) {
	t.Parallel()
	about := analysis.Subject{Revision: "r", Release: "shop:1", Version: "$(exit 3)", Commit: "c", Instances: []string{"a", "b;exit 4"}}
	for variable, want := range map[string]string{
		"REVISION": "r", "RELEASE": "shop:1", "VERSION": "$(exit 3)", "COMMIT": "c", "INSTANCES": "a b;exit 4",
	} {
		query, err := sh(`test "$DELIVERY_` + variable + `" = "$WANT" && test -n "$PATH" && echo 1`).About(about)
		if err != nil {
			t.Fatal(err)
		}
		command := query.(analysis.Command)
		command.Environment = append(command.Environment, "WANT="+want)
		expect(t, variable, command, "1")
	}
}

// The end of what a command said is kept, and no more.
func TestOutputOfAFailedCommand(t *testing.T) {
	t.Parallel()
	_, err := sh("seq 1000000; printf '\\033[31mred\\033[0m\\n' >&2; exit 7").Run(t.Context())
	var failed *analysis.OutputError
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if n := len(failed.Output); n != 11 || failed.Output[9] != "1000000" || failed.Output[10] != "[31mred [0m" {
		t.Errorf("kept %q", failed.Output)
	}
	if want := "the command sh … failed: exit status 7: [31mred [0m"; err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
