// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestRunWithAnEnvironment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	rev.Environment = map[string]string{"OWN": "own", "BOTH": "revision"}
	r.deploy(rev)
	run := func(environment map[string]string, script string, line func(string)) (deployer.RunResult, error) {
		return r.d.Run(t.Context(), deployer.RunRequest{
			Mutation: r.mutation(), RevisionID: "rev-1", Command: []string{"sh", "-c", script}, Environment: environment,
		}, func(e deployer.Event) { line(e.Line) })
	}
	nothing := func(string) {}

	got, err := run(map[string]string{"ADDED": "two\nlines, 'quoted'", "BOTH": "request"}, `echo "$OWN|$BOTH|$ADDED"; env | grep -c delivery_exports`, nothing)
	r.must(err)
	if text := strings.Join(got.Log, "\n"); text != "own|request|two\nlines, 'quoted'\n0" {
		t.Errorf("it saw %q", text)
	}
	got, err = run(nil, `echo "$BOTH|$ADDED"`, nothing)
	r.must(err)
	if text := strings.Join(got.Log, "\n"); text != "revision|" {
		t.Errorf("the next command saw %q", text)
	}

	seen := 0
	_, err = run(map[string]string{"TOKEN": "a-value-for-nobody-else"}, `echo up; until test -e ../../go; do sleep 0.05; done`, func(line string) {
		if line != "up" {
			return
		}
		lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
		r.must(err)
		for _, path := range lists {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			seen++
			if bytes.Contains(text, []byte("a-value-for-nobody-else")) {
				t.Errorf("a list of processes shows it: %q", text)
			}
		}
		r.must(os.WriteFile(filepath.Join(r.path, "go"), nil, 0o600))
	})
	r.must(err)
	if seen == 0 {
		t.Error("no process was looked at")
	}

	for says, environment := range map[string]map[string]string{
		`"A-B" cannot be set`: {"A-B": ""}, `"1A" cannot be set`: {"1A": ""}, `"A;id" cannot be set`: {"A;id": ""}, `"" cannot be set`: {"": ""},
		"shells keep it": {"UID": "0"}, "NUL": {"A": "\x00"}, "more than 96 KiB": {"A": strings.Repeat("x", 100<<10)},
	} {
		_, err := run(environment, "true", nothing)
		wantError(t, err, deployer.CodeInvalid, says)
	}
	large := strings.Repeat("x", 90<<10)
	got, err = run(map[string]string{"A": large}, `printf %s "$A" | wc -c`, nothing)
	r.must(err)
	if text := strings.TrimSpace(strings.Join(got.Log, "\n")); text != itoa(len(large)) {
		t.Errorf("a large value: %q", text)
	}
}
