// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	probeTimeout = 5 * time.Second
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// Check implements [deployer.Checker]. HTTP, TCP and gRPC probes go to the
// address as the host itself sees it, through the connection; a certificate is
// verified where the probe says so, by the roots of the machine of this process
// if it names no CA. While it waits it asks often at first, so that a service
// that is up soon is not waited for.
func (d *Deployer) Check(ctx context.Context, req deployer.CheckRequest) (deployer.CheckResult, error) {
	s, err := d.site(req.Target, req.Instance)
	if err != nil {
		return deployer.CheckResult{}, err
	}
	if err := checkRevision(req.RevisionID); err != nil {
		return deployer.CheckResult{}, s.fault("check", err)
	}
	if err := req.Probe.Validate(); err != nil {
		return deployer.CheckResult{}, s.fault("check", err)
	}
	c := &checking{site: s, req: req}
	end := time.Now().Add(req.Wait)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		result, err := c.attempt(ctx)
		if err != nil {
			return deployer.CheckResult{}, s.fault("check", err)
		}
		final := result.Status == deployer.CheckPass || result.Status == deployer.CheckDead
		if final || time.Now().Add(pause).After(end) {
			if result.Status == deployer.CheckFail || result.Status == deployer.CheckDead {
				// What answers may show the secrets of any revision that is kept.
				if tail, err := s.ask(ctx, "log_tail", req.RevisionID, "0"); err == nil {
					hide := hiding(tail)
					result.Reason, result.Log = hide.line(result.Reason), hide.lines(result.Log)
				}
				result.Log = append(result.Log, s.logTail(ctx, req.RevisionID)...)
			}
			return result, nil
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return deployer.CheckResult{}, s.fault("check", stopped(ctx))
		}
	}
}

type checking struct {
	*site
	req deployer.CheckRequest
}

// attempt looks at the process and probes, at the same time.
func (c *checking) attempt(ctx context.Context) (deployer.CheckResult, error) {
	timeout := c.req.Timeout
	if timeout <= 0 {
		timeout = probeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+inspectTimeout)
	defer cancel()
	var result deployer.CheckResult
	var probeErr error
	var wg sync.WaitGroup
	probing := c.req.Probe.HTTP != nil || c.req.Probe.TCP != nil || c.req.Probe.GRPC != nil
	if probing {
		wg.Go(func() {
			bounded, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			result, probeErr = c.probe(bounded)
		})
	}
	ans, err := c.ask(ctx, "state")
	if err != nil {
		cancel()
		wg.Wait()
		return result, err
	}
	process := c.process(parseService(ans))
	if process.Status == deployer.CheckDead || process.Status == deployer.CheckFail {
		cancel()
		wg.Wait()
		return process, nil
	}
	wg.Wait()
	switch {
	case probeErr != nil:
		return result, probeErr
	case c.req.Probe.Command != nil:
		return c.command(ctx, c.req.Probe.Command.Command, timeout)
	case !probing || process.Status != deployer.CheckPass:
		return process, nil
	}
	return result, nil
}

// process judges by the process alone.
func (c *checking) process(v service) deployer.CheckResult {
	health, detail := v.health()
	switch {
	case v.kind == "":
		return deployer.CheckResult{Status: deployer.CheckPass, Reason: "there is no service to check"}
	case v.revision() != c.req.RevisionID:
		return deployer.CheckResult{Status: deployer.CheckFail, Reason: fmt.Sprintf("revision %s does not run here, but %s", c.req.RevisionID, v.revision())}
	case health == deployer.HealthFailing, health == deployer.HealthStopped && v.kind == "supervised":
		return deployer.CheckResult{Status: deployer.CheckDead, Reason: "the service " + detail}
	case health == deployer.HealthHealthy:
		return deployer.CheckResult{Status: deployer.CheckPass, Reason: "its process is up"}
	}
	return deployer.CheckResult{Status: deployer.CheckWait, Reason: detail}
}

// probe makes one probe over the network from the host.
func (c *checking) probe(ctx context.Context) (deployer.CheckResult, error) {
	var refused error
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.machine.dial(ctx, network, address)
		if deployer.CodeOf(err) == deployer.CodeRefused {
			refused = err
		}
		return conn, err
	}
	result, err := deployer.ProbeFrom(ctx, c.req.Probe, dial)
	if refused != nil {
		return result, refused
	}
	return result, err
}

// command runs a probe command in the revision's context.
func (c *checking) command(ctx context.Context, line string, timeout time.Duration) (deployer.CheckResult, error) {
	run, late, err := c.inRelease(ctx, c.req.RevisionID, command{line: line, timeout: timeout}, nil)
	switch {
	case err != nil:
		return deployer.CheckResult{}, err
	case late:
		return deployer.CheckResult{Status: deployer.CheckFail, Reason: fmt.Sprintf("the command did not end within %s", timeout)}, nil
	case run.ExitCode != 0:
		tail, err := c.ask(ctx, "log_tail", c.req.RevisionID, "0")
		if err != nil {
			return deployer.CheckResult{}, err
		}
		return deployer.CheckResult{Status: deployer.CheckFail, Reason: fmt.Sprintf("the command ended with status %d", run.ExitCode), Log: hiding(tail).lines(run.Log)}, nil
	}
	return deployer.CheckResult{Status: deployer.CheckPass, Reason: "the command ended with status 0"}, nil
}
