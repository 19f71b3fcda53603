// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const probeBodyLimit = 64 << 10 // bytes of a body that have to match

func probeHTTP(ctx context.Context, p *HTTPProbe, line *probeLine) (CheckResult, error) {
	pattern, err := p.pattern()
	if err != nil {
		return CheckResult{}, err
	}
	trust, err := p.TLS.trust(p.Host)
	if err != nil {
		return CheckResult{}, err
	}
	req, asked, err := p.request(ctx)
	if err != nil {
		return CheckResult{}, err
	}
	transport := &http.Transport{
		DialContext: line.dial, TLSClientConfig: trust.config(),
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: probeHeaderLimit,
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if refusal := trust.refusal(err); refusal != "" {
			return CheckResult{Status: CheckFail, Reason: asked + ": " + refusal}, nil
		}
		return line.failed(asked, err), nil
	}
	defer func() { _ = resp.Body.Close() }()
	result := CheckResult{Status: CheckPass, Reason: strings.TrimSpace(fmt.Sprintf("%s: %d %s", asked, resp.StatusCode, http.StatusText(resp.StatusCode)))}
	if !p.passes(resp.StatusCode) {
		result.Status = CheckFail
		if len(p.Statuses) > 0 {
			result.Reason += ", and not " + p.expected()
		}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, probeLogLimit))
		result.Log = shown(body)
		return result, nil
	}
	if pattern == nil {
		return result, nil
	}
	body := &matchedBody{from: io.LimitReader(resp.Body, probeBodyLimit)}
	switch found := pattern.MatchReader(bufio.NewReader(body)); {
	case body.err != nil:
		result = line.failed(result.Reason+", but its body broke off", body.err)
		result.Log = shown(body.beginning.Bytes())
	case found:
		result.Reason += fmt.Sprintf(", and its body matches %q", p.BodyMatches)
	default:
		result.Status = CheckFail
		result.Reason += fmt.Sprintf(", but its body does not match %q", p.BodyMatches)
		result.Log = shown(body.beginning.Bytes())
	}
	return result, nil
}

// request makes the request, and says in short what it asks: without the query,
// which may hold a password.
func (p *HTTPProbe) request(ctx context.Context) (req *http.Request, asked string, err error) {
	method, scheme := p.Method, p.Scheme
	if method == "" {
		method = http.MethodGet
	}
	if scheme == "" {
		scheme = "http"
	}
	u, err := p.url()
	if err != nil {
		return nil, "", err
	}
	u.Scheme, u.Host = scheme, probeAddress(p.Host, p.Port)
	asked = fmt.Sprintf("%s %s://%s%s", method, u.Scheme, u.Host, u.EscapedPath())
	if req, err = http.NewRequestWithContext(ctx, method, u.String(), nil); err != nil {
		return nil, "", invalidProbe("%s is no request: %v", asked, err)
	}
	for name, value := range p.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	return req, asked, nil
}

func (p *HTTPProbe) url() (*url.URL, error) {
	path := "/" + strings.TrimPrefix(p.Path, "/")
	u, err := url.ParseRequestURI(path)
	if err != nil || strings.ContainsAny(u.RawQuery, " ") {
		return nil, invalidProbe("the path %q cannot be asked for", p.Path)
	}
	return u, nil
}

func (p *HTTPProbe) pattern() (*regexp.Regexp, error) {
	const longest = 4 << 10
	if p.BodyMatches == "" {
		return nil, nil
	}
	if len(p.BodyMatches) > longest {
		return nil, invalidProbe("the pattern of the body is longer than %d bytes", longest)
	}
	pattern, err := regexp.Compile(p.BodyMatches)
	if err != nil {
		return nil, invalidProbe("the pattern of the body is no regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return pattern, nil
}

func (p *HTTPProbe) passes(status int) bool {
	for _, r := range p.Statuses {
		if status >= r.From && status <= r.To {
			return true
		}
	}
	return len(p.Statuses) == 0 && status >= 200 && status < 400
}

// expected are the statuses in words.
func (p *HTTPProbe) expected() string {
	words := make([]string, len(p.Statuses))
	for n, r := range p.Statuses {
		if words[n] = strconv.Itoa(r.From); r.To != r.From {
			words[n] += " to " + strconv.Itoa(r.To)
		}
	}
	return strings.Join(words, " or ")
}

// matchedBody keeps the beginning of what it reads, and why reading ended, of
// which regexp says nothing.
type matchedBody struct {
	from      io.Reader
	beginning bytes.Buffer
	err       error // nil at the end of the body
}

func (b *matchedBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if room := probeLogLimit - b.beginning.Len(); room > 0 {
		b.beginning.Write(p[:min(n, room)])
	}
	if err != nil && err != io.EOF { //nolint:errorlint // the end, as io.Reader says it
		b.err = err
	}
	return n, err
}
