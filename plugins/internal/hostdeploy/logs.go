// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	tailLines   = 30
	tailTimeout = 10 * time.Second
	followEvery = 500 * time.Millisecond
	// startMark begins the line that the supervisor writes at each start.
	startMark = "delivery: starting revision "
)

// logTail gives the last lines of a revision's log, without secrets, as far as
// they can be had.
func (s *site) logTail(ctx context.Context, revision string) []string {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), tailTimeout)
	defer cancel()
	ans, err := s.ask(own, "log_tail", revision, strconv.Itoa(4*tailLines))
	if err != nil {
		return nil
	}
	lines := ans.sections["log"]
	// Only what was said since this revision was first started.
	first := -1
	for n := len(lines) - 1; n >= 0; n-- {
		if id, ok := strings.CutPrefix(lines[n], startMark); ok {
			if id != revision {
				break
			}
			first = n
		}
	}
	if first < 0 {
		return nil
	}
	lines = lines[first+1:]
	lines = lines[max(0, len(lines)-tailLines):]
	return hiding(ans).lines(lines)
}

// hiding makes the redactor of the environment files in an answer.
func hiding(ans answer) redactor {
	return redacting(secretsIn(strings.Join(ans.sections["environment"], "\n")))
}

// Logs implements [deployer.LogReader].
func (d *Deployer) Logs(ctx context.Context, req deployer.LogsRequest, lines func(line string) error) error {
	s, err := d.site(req.Target, req.Instance)
	if err != nil {
		return err
	}
	state, err := s.ask(ctx, "state")
	if err != nil {
		return s.fault("logs", err)
	}
	revision := parseService(state).revision()
	ans, err := s.ask(ctx, "log_tail", revision, strconv.Itoa(max(0, req.Lines)), "size")
	if err != nil {
		return s.fault("logs", err)
	}
	if !ans.has("environment") {
		return nil // what must be hidden is not known
	}
	hide := hiding(ans)
	for _, l := range ans.sections["log"] {
		if err := lines(hide.line(l)); err != nil {
			return err
		}
	}
	if !req.Follow {
		return nil
	}
	return s.follow(ctx, revision, ans, hide, lines)
}

// follow asks for what was written since, until ctx ends or the reader has
// enough. Asking leaves nothing behind on the host.
func (s *site) follow(ctx context.Context, revision string, ans answer, hide redactor, lines func(string) error) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	offset, _ := ans.get("size")
	for {
		select {
		case <-ctx.Done():
			return s.fault("logs", stopped(ctx))
		case <-tick.C:
		}
		more, err := s.ask(ctx, "log_from", revision, offset)
		if err != nil {
			return s.fault("logs", err)
		}
		for _, l := range more.sections["log"] {
			if err := lines(hide.line(l)); err != nil {
				return err
			}
		}
		offset, _ = more.get("size")
	}
}
