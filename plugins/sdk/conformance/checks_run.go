// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var needRun = []deployer.Capability{deployer.CanRun}

// runChecks are about one-off commands.
var runChecks = []check{
	{"Run/says_how_it_ended", needRun, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		var mu sync.Mutex
		var seen []string
		result, err := r.run("r1", nil, `echo one; echo two >&2; exit 7`, func(e deployer.Event) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, e.Line)
		})
		r.must(err, "Run")
		mu.Lock()
		defer mu.Unlock()
		for _, lines := range [][]string{result.Log, seen} {
			if !slices.Contains(lines, "one") || !slices.Contains(lines, "two") {
				r.Errorf("lines of the output are missing in %q", lines)
			}
		}
		if result.ExitCode != 7 {
			r.Errorf("status %d, want 7", result.ExitCode)
		}
		r.serves("r1", "after a command that failed")
	}},
	{"Run/has_the_environment", needRun, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		const odd = `it's "$HOME" \n $(id) ` + "`id`"
		environment := map[string]string{"CONFORMANCE_ODD": odd, "CONFORMANCE_TWO": "two\nlines", "_x1": ""}
		script := `printf '<%s>\n' "$CONFORMANCE_ODD" "$CONFORMANCE_TWO" "${_x1-unset}"`
		want := []string{"<" + odd + ">", "<two", "lines>", "<>"}
		for name, value := range r.config.Environment {
			script += ` "$` + name + `"`
			want = append(want, strings.Split("<"+value+">", "\n")...)
		}
		result, err := r.run("r1", environment, script, nil)
		r.must(err, "Run with an environment")
		if result.ExitCode != 0 || !slices.Equal(result.Log, want) {
			r.Errorf("the command saw %q (status %d), want %q", result.Log, result.ExitCode, want)
		}
		for name := range r.config.Environment {
			result, err := r.run("r1", map[string]string{name: "conformance"}, `echo "<$`+name+`>"`, nil)
			r.must(err, "Run with a variable of the revision")
			if !slices.Equal(result.Log, []string{"<conformance>"}) {
				r.Errorf("the revision's own %s hides the request's: %q", name, result.Log)
			}
		}
		result, err = r.run("r1", nil, `echo "<$CONFORMANCE_ODD>"`, nil)
		r.must(err, "Run without an environment")
		if !slices.Equal(result.Log, []string{"<>"}) {
			r.Errorf("the next command saw %q of the one before", result.Log)
		}
	}},
	{"Run/refuses_names_that_are_none", needRun, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		for _, name := range []string{"", "1A", "A-B", "A=B", "A;exit 0;B"} {
			_, err := r.run("r1", map[string]string{name: "x"}, "exit 0", nil)
			r.refused(err, "Run with a variable called "+name, deployer.CodeInvalid)
		}
	}},
	{"Run/of_an_unknown_revision_fails", needRun, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		if _, err := r.run("never-prepared", nil, "exit 0", nil); err == nil {
			r.Error("it succeeded")
		}
	}},
}

// run runs a script in a revision's context on the first instance.
func (r *rig) run(id string, environment map[string]string, script string, events deployer.EventSink) (deployer.RunResult, error) {
	return r.deployer.Run(r.ctx(), deployer.RunRequest{
		Mutation: r.mutation(r.first()), RevisionID: id, Timeout: 30 * time.Second,
		Command: append(slices.Clone(r.config.Shell), script), Environment: environment,
	}, events)
}
