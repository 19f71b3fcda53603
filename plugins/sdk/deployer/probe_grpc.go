// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	healthCheck      = "/grpc.health.v1.Health/Check"
	healthReplyLimit = 64 << 10 // bytes; a true reply has seven
)

// probeGRPC speaks gRPC over net/http: one small message each way, which is no
// reason to import a library into every deployer.
func probeGRPC(ctx context.Context, p *GRPCProbe, line *probeLine) (CheckResult, error) {
	trust, err := p.TLS.trust(p.Host)
	if err != nil {
		return CheckResult{}, err
	}
	address := probeAddress(p.Host, p.Port)
	asked := "gRPC health of " + address
	if p.Service != "" {
		asked = fmt.Sprintf("gRPC health of %q at %s", p.Service, address)
	}
	transport := &http.Transport{
		DialContext: line.dial, TLSClientConfig: trust.config(), Protocols: new(http.Protocols),
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: probeHeaderLimit,
	}
	defer transport.CloseIdleConnections()
	u := url.URL{Scheme: "http", Host: address, Path: healthCheck}
	transport.Protocols.SetUnencryptedHTTP2(!p.Secure)
	transport.Protocols.SetHTTP2(p.Secure)
	if p.Secure {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(healthRequest(p.Service)))
	if err != nil {
		return CheckResult{}, invalidProbe("%s is no address: %v", address, err)
	}
	if p.TLS != nil && p.TLS.ServerName != "" {
		req.Host = p.TLS.ServerName
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	if end, ok := ctx.Deadline(); ok {
		req.Header.Set("Grpc-Timeout", strconv.FormatInt(min(max(time.Until(end).Milliseconds(), 1), 99_999_999), 10)+"m")
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if refusal := trust.refusal(err); refusal != "" {
			return CheckResult{Status: CheckFail, Reason: asked + ": " + refusal}, nil
		}
		result := line.failed(asked, err)
		if result.Status == CheckFail {
			result.Reason = fmt.Sprintf("%s: what answers does not speak gRPC as asked (%s): %s", asked, over(p.Secure), plain(err))
		}
		return result, nil
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, healthReplyLimit))
	if err != nil {
		return line.failed(asked, err), nil
	}
	status, reason := judgeHealth(p.Service, resp, reply)
	result := CheckResult{Status: status, Reason: asked + ": " + reason}
	if status != CheckPass && !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		result.Log = shown(reply)
	}
	return result, nil
}

func over(secure bool) string {
	if secure {
		return "HTTP/2 over TLS"
	}
	return "HTTP/2 without TLS"
}

// judgeHealth judges a whole answer.
func judgeHealth(service string, resp *http.Response, reply []byte) (CheckStatus, string) {
	if resp.ProtoMajor != 2 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		return CheckFail, fmt.Sprintf("what answers is no gRPC server: %s %d %s", resp.Proto, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	code, message := resp.Trailer.Get("Grpc-Status"), resp.Trailer.Get("Grpc-Message")
	if code == "" { // an answer without a message has all in its headers
		code, message = resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
	}
	switch code {
	case "0":
		status, err := healthReply(reply)
		switch {
		case err != nil:
			return CheckFail, fmt.Sprintf("the answer cannot be read: %v", err)
		case status == healthServing:
			return CheckPass, healthNames[status]
		case status < uint64(len(healthNames)):
			return CheckFail, healthNames[status]
		}
		return CheckFail, fmt.Sprintf("status %d, which is unknown", status)
	case "":
		return CheckFail, fmt.Sprintf("the answer has no status of gRPC: %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	case "5":
		return CheckFail, fmt.Sprintf("its health service does not know the service %q (NOT_FOUND)", service)
	case "12":
		return CheckFail, "it has no health service: grpc.health.v1.Health is UNIMPLEMENTED"
	}
	return CheckFail, fmt.Sprintf("it answers with %s: %s", codeName(code), messageOf(message))
}

// codeNames are the codes of gRPC by their numbers.
var codeNames = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

func codeName(code string) string {
	if n, err := strconv.Atoi(code); err == nil && n >= 0 && n < len(codeNames) {
		return codeNames[n]
	}
	return fmt.Sprintf("the code %.20q", code)
}

// messageOf undoes the percent encoding of a message, as far as it is one.
func messageOf(s string) string {
	const longest = 1 << 10
	s = s[:min(len(s), longest)]
	if decoded, err := url.PathUnescape(s); err == nil {
		s = decoded
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, "?"))
}
