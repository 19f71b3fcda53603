// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const runTimeout = time.Hour // of a command that has no timeout of its own

// environmentLimit bounds what a command gets besides the revision's own
// environment: it travels in one variable, and kernels limit those.
const environmentLimit = 96 << 10

// Run implements [deployer.CommandRunner]: a command in the directory of a
// revision, with its environment and the request's, which goes first where both
// have a name.
func (d *Deployer) Run(ctx context.Context, req deployer.RunRequest, events deployer.EventSink) (deployer.RunResult, error) {
	s, err := d.site(req.Target, req.Instance)
	if err != nil {
		return deployer.RunResult{}, err
	}
	if err := checkRevision(req.RevisionID); err != nil {
		return deployer.RunResult{}, s.fault("run", err)
	}
	if len(req.Command) == 0 {
		return deployer.RunResult{}, s.fault("run", deployer.Errorf(deployer.CodeInvalid, "there is no command"))
	}
	exports, err := exported(req.Environment)
	if err != nil {
		return deployer.RunResult{}, s.fault("run", err)
	}
	words := make([]string, len(req.Command))
	for n, w := range req.Command {
		words[n] = quote(w)
	}
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = runTimeout
	}
	tail, err := s.ask(ctx, "log_tail", req.RevisionID, "0")
	if err != nil {
		return deployer.RunResult{}, s.fault("run", err)
	}
	hide := hiding(tail)
	command := command{line: "exec " + strings.Join(words, " "), exports: exports, timeout: timeout}
	result, late, err := s.inRelease(ctx, req.RevisionID, command, func(line string) {
		events(deployer.Event{Time: time.Now(), Instance: s.id, Phase: "run", Line: hide.line(line)})
	})
	result.Log = hide.lines(result.Log)
	if err != nil {
		return result, s.fault("run", err)
	}
	if late {
		return result, &deployer.Error{Code: deployer.CodeFailed, Instance: s.id, Step: "run", Message: "the command did not end within " + timeout.String(), Log: result.Log}
	}
	return result, nil
}

// exported are lines of shell that set variables.
func exported(environment map[string]string) (string, error) {
	if len(environment) == 0 {
		return "", nil
	}
	lines, err := environmentFile(environment, nil)
	if err == nil && len(lines) > environmentLimit {
		err = &deployer.Error{Code: deployer.CodeInvalid, Step: "environment",
			Message: fmt.Sprintf("the variables for the command have more than %d KiB", environmentLimit>>10),
			Advice:  "Pass large values in files."}
	}
	return strings.TrimSuffix(lines, secretsMark), err
}

// command is what to run in a release, and how.
type command struct {
	line    string // of shell
	exports string // lines of shell that come first, and that no list of processes shows
	timeout time.Duration
}

// inRelease runs a command in a release. When ctx ends, so does the command.
func (s *site) inRelease(ctx context.Context, revision string, c command, line func(string)) (result deployer.RunResult, late bool, err error) {
	job := strings.ToLower(rand.Text()[:12])
	said := func(name, value string) {
		if name == "" && line != nil {
			line(value)
		}
	}
	ans, err := s.tell(ctx, call{said: said, silence: c.timeout + longestSilence}, "in_release", revision, seconds(c.timeout), job, c.line, c.exports)
	result.Log = ans.output
	if err != nil {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		_, _ = s.tell(own, call{}, "cancel", job)
		return result, false, err
	}
	status, _ := ans.get("status")
	code, flag, _ := strings.Cut(status, " ")
	result.ExitCode, err = strconv.Atoi(code)
	if err != nil {
		err = deployer.Errorf(deployer.CodeFailed, "%s", withOutput("the command did not say how it ended", ans.output))
	}
	return result, flag == "late", err
}
