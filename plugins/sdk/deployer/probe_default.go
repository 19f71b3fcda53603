// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// While the default Check waits it asks often at first, so that what is up soon
// is not waited for.
const (
	firstProbePause   = 20 * time.Millisecond
	longestProbePause = time.Second
)

// checkFromHere is the default Check.
func (c *completed) checkFromHere(ctx context.Context, req CheckRequest) (CheckResult, error) {
	if err := req.Probe.Validate(); err != nil {
		return CheckResult{}, err
	}
	if req.Probe.Command != nil {
		return CheckResult{}, c.unsupported(ctx, "probe with a command")
	}
	if req.Probe.overNetwork() {
		host, err := c.hostOf(ctx, req)
		if err != nil {
			return CheckResult{}, err
		}
		req.Probe = req.Probe.at(host)
	}
	end := time.Now().Add(req.Wait)
	for pause := firstProbePause; ; pause = min(2*pause, longestProbePause) {
		result, err := c.checkOnce(ctx, req)
		if err != nil || result.Status == CheckPass || result.Status == CheckDead || !time.Now().Add(pause).Before(end) {
			return result, err
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return CheckResult{}, &Error{Code: CodeInterrupted, Instance: req.Instance, Step: "check", Message: "cancelled"}
		case <-wait.C:
		}
	}
}

func (c *completed) checkOnce(ctx context.Context, req CheckRequest) (CheckResult, error) {
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = defaultProbeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if req.Probe.overNetwork() {
		return ProbeFrom(ctx, req.Probe, (&net.Dialer{}).DialContext)
	}
	state, err := c.Inspect(ctx, InspectRequest{
		Target: req.Target, Timeout: timeout, Opaque: map[string][]byte{req.Instance: req.Opaque},
	})
	if err != nil {
		return CheckResult{}, err
	}
	return judge(state, req), nil
}

// overNetwork says that the probe is one of those that [ProbeFrom] makes.
func (p Probe) overNetwork() bool { return p.HTTP != nil || p.TCP != nil || p.GRPC != nil }

// at is the probe of a host, unless it names its own.
func (p Probe) at(host string) Probe {
	switch {
	case p.HTTP != nil && p.HTTP.Host == "":
		there := *p.HTTP
		there.Host = host
		p.HTTP = &there
	case p.TCP != nil && p.TCP.Host == "":
		there := *p.TCP
		there.Host = host
		p.TCP = &there
	case p.GRPC != nil && p.GRPC.Host == "":
		there := *p.GRPC
		there.Host = host
		p.GRPC = &there
	}
	return p
}

// judge decides by what Inspect saw of one revision.
func judge(state TargetState, req CheckRequest) CheckResult {
	for _, i := range state.Instances {
		if i.ID != req.Instance {
			continue
		}
		if i.Unreachable != "" {
			return CheckResult{Status: CheckWait, Reason: "cannot be reached: " + i.Unreachable}
		}
		for _, s := range i.Slots {
			if s.Revision.ID != req.RevisionID || s.Role == RoleRetired {
				continue
			}
			switch s.Health {
			case HealthHealthy:
				return CheckResult{Status: CheckPass, Reason: s.Detail}
			case HealthStopped, HealthFailing, HealthMissing:
				return CheckResult{Status: CheckDead, Reason: strings.TrimSpace(string(s.Health) + " " + s.Detail)}
			}
			return CheckResult{Status: CheckWait, Reason: s.Detail}
		}
	}
	return CheckResult{Status: CheckFail, Reason: fmt.Sprintf("revision %s does not run here", req.RevisionID)}
}

// hostOf is where an instance is, as configured.
func (c *completed) hostOf(ctx context.Context, req CheckRequest) (string, error) {
	v, err := c.Validate(ctx, ValidateRequest{Target: req.Target})
	if err != nil {
		return "", err
	}
	for _, i := range v.Instances {
		if i.ID != req.Instance || i.Address == "" {
			continue
		}
		if host, _, err := net.SplitHostPort(i.Address); err == nil {
			return host, nil
		}
		return strings.Trim(i.Address, "[]"), nil
	}
	return "", nil
}
