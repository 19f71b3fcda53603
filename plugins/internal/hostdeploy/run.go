// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const runTimeout = time.Hour // of a command that has no timeout of its own

// Run implements [deployer.CommandRunner]: a command in the directory of a
// revision, with its environment.
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
	result, late, err := s.inRelease(ctx, req.RevisionID, "exec "+strings.Join(words, " "), timeout, func(line string) {
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

// inRelease runs a command in a release. When ctx ends, so does the command.
func (s *site) inRelease(ctx context.Context, revision, command string, timeout time.Duration, line func(string)) (result deployer.RunResult, late bool, err error) {
	job := strings.ToLower(rand.Text()[:12])
	said := func(name, value string) {
		if name == "" && line != nil {
			line(value)
		}
	}
	ans, err := s.tell(ctx, call{said: said, silence: timeout + longestSilence}, "in_release", revision, seconds(timeout), job, command)
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
