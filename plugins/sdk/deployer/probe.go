// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultProbeTimeout = 5 * time.Second
	probePause          = 200 * time.Millisecond
	probeBodyLimit      = 2 << 10 // bytes of a bad answer that are shown
)

// ProbeFrom makes one attempt of an HTTP or TCP probe with the caller's own
// way to dial: of this process, or through a connection to an instance. An
// empty host in the probe is 127.0.0.1. HTTPS certificates are not verified,
// since a probe asks an instance by its address. It answers CheckPass,
// CheckWait (nobody answers yet) or CheckFail (somebody answers, and badly).
func ProbeFrom(ctx context.Context, probe Probe, dial func(ctx context.Context, network, address string) (net.Conn, error)) (CheckResult, error) {
	switch {
	case probe.HTTP != nil:
		return probeHTTP(ctx, probe.HTTP, dial), nil
	case probe.TCP != nil:
		address := net.JoinHostPort(loopbackIfEmpty(probe.TCP.Host), strconv.Itoa(probe.TCP.Port))
		conn, err := dial(ctx, "tcp", address)
		if err != nil {
			return CheckResult{Status: CheckWait, Reason: fmt.Sprintf("connect to %s: %v", address, plain(err))}, nil
		}
		_ = conn.Close()
		return CheckResult{Status: CheckPass, Reason: address + " accepts connections"}, nil
	}
	return CheckResult{}, Errorf(CodeUnsupported, "only HTTP and TCP probes can be made over a network")
}

func probeHTTP(ctx context.Context, p *HTTPProbe, dial func(context.Context, string, string) (net.Conn, error)) CheckResult {
	scheme := p.Scheme
	if scheme == "" {
		scheme = "http"
	}
	address := net.JoinHostPort(loopbackIfEmpty(p.Host), strconv.Itoa(p.Port))
	path, query, _ := strings.Cut(p.Path, "?")
	u := url.URL{Scheme: scheme, Host: address, Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return CheckResult{Status: CheckFail, Reason: fmt.Sprintf("%s is no valid request: %v", u.String(), err)}
	}
	for name, value := range p.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	transport := &http.Transport{
		DialContext:       dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // a probe asks by address
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	resp, err := client.Do(req)
	if err != nil {
		return CheckResult{Status: CheckWait, Reason: fmt.Sprintf("GET %s: %v", u.String(), plain(err))}
	}
	defer func() { _ = resp.Body.Close() }()
	reason := fmt.Sprintf("GET %s: %s", u.String(), resp.Status)
	if resp.StatusCode >= 200 && resp.StatusCode < 400 {
		return CheckResult{Status: CheckPass, Reason: reason}
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, probeBodyLimit))
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(body), "?")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return CheckResult{Status: CheckFail, Reason: reason, Log: lines}
}

// checkFromHere is the default Check.
func (c *completed) checkFromHere(ctx context.Context, req CheckRequest) (CheckResult, error) {
	probe := req.Probe
	if probe.Command != nil {
		return CheckResult{}, c.unsupported(ctx, "probe with a command")
	}
	host := ""
	if probe.HTTP != nil || probe.TCP != nil {
		var err error
		if host, err = c.hostOf(ctx, req); err != nil {
			return CheckResult{}, err
		}
	}
	if p := probe.HTTP; p != nil && p.Host == "" {
		at := *p
		at.Host = host
		probe.HTTP = &at
	}
	if p := probe.TCP; p != nil && p.Host == "" {
		at := *p
		at.Host = host
		probe.TCP = &at
	}
	end := time.Now().Add(req.Wait)
	for {
		result, err := c.checkOnce(ctx, req, probe)
		if err != nil || result.Status == CheckPass || result.Status == CheckDead || !time.Now().Add(probePause).Before(end) {
			return result, err
		}
		pause := time.NewTimer(probePause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return CheckResult{}, &Error{Code: CodeInterrupted, Instance: req.Instance, Step: "check", Message: "cancelled"}
		case <-pause.C:
		}
	}
}

func (c *completed) checkOnce(ctx context.Context, req CheckRequest, probe Probe) (CheckResult, error) {
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = defaultProbeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if probe.HTTP != nil || probe.TCP != nil {
		return ProbeFrom(ctx, probe, (&net.Dialer{}).DialContext)
	}
	state, err := c.Inspect(ctx, InspectRequest{
		Target: req.Target, Timeout: timeout, Opaque: map[string][]byte{req.Instance: req.Opaque},
	})
	if err != nil {
		return CheckResult{}, err
	}
	return judge(state, req), nil
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

func loopbackIfEmpty(host string) string {
	if host == "" {
		return "127.0.0.1"
	}
	return host
}

// plain drops what http.Client repeats around the reason.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
