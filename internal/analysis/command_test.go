// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package analysis_test

import (
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
		closed := make(chan error, 1)
		go func() {
			f, err := os.Open(fifo) // until the command opens the other end
			if err == nil {
				_, err = io.ReadAll(f) // until nobody has it any more
				_ = f.Close()
			}
			closed <- err
		}()
		query := sh("exec 9>" + fifo + "; sleep 600 >/dev/null 2>&1 & " + end)
		query.Timeout = 500 * time.Millisecond
		_, err := query.Run(t.Context())
		if (err != nil) != (name == "stopped") {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}
