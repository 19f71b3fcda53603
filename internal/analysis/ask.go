// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// transport goes through the proxy of the environment, as everything else that
// Terraform does. It keeps no connection: measurements are seldom, and one that
// the server has closed meanwhile would count as failed.
var transport = &http.Transport{
	Proxy:                  http.ProxyFromEnvironment,
	DialContext:            (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
	ForceAttemptHTTP2:      true,
	DisableKeepAlives:      true,
	MaxResponseHeaderBytes: 64 << 10,
}

const maxRedirects = 5

// question is a request and what is to be known about it.
type question struct {
	client  *http.Client // nil: one with transport
	headers map[string]string
	timeout time.Duration
	secrets redactor
}

// ask makes the request and reads a bounded answer. Its errors say who was
// asked, and nothing secret.
func (q question) ask(ctx context.Context, method, address string, form url.Values) (int, []byte, error) {
	where := method + " " + withoutSecrets(address)
	ctx, cancel := bounded(ctx, q.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, fmt.Errorf("%s: not a usable URL", where)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range q.headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	client := http.Client{Transport: transport}
	if q.client != nil {
		client = *q.client
	}
	client.CheckRedirect = stayAtHome
	status, body, err := exchange(&client, req)
	switch {
	case errors.Is(context.Cause(ctx), errTooLate) && err != nil:
		return 0, nil, fmt.Errorf("%s: no answer within %s", where, orDefault(q.timeout))
	case err != nil:
		return 0, nil, fmt.Errorf("%s: %s", where, q.secrets.hide(shortenTo(300, err.Error())))
	}
	return status, body, nil
}

func exchange(client *http.Client, req *http.Request) (int, []byte, error) {
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // its text repeats the URL, query and all
		}
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return 0, nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return res.StatusCode, body, nil
}

// stayAtHome follows redirects to the same server only: headers with
// credentials would go along to any other.
func stayAtHome(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case origin(req.URL) != origin(first.URL):
		return fmt.Errorf("redirected to another server, %s, to which credentials must not be sent; if it is the right one, ask it directly", withoutSecrets(req.URL.String()))
	case req.Method != first.Method:
		return fmt.Errorf("redirected to %s, which would lose the query; ask it directly", withoutSecrets(req.URL.String()))
	case len(via) > maxRedirects:
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func checkRequest(address string, headers map[string]string, timeout time.Duration) error {
	if err := checkURL(address); err != nil {
		return err
	}
	for name, value := range headers {
		if name == "" || strings.Trim(name, headerName) != "" {
			return fmt.Errorf("%q is not the name of a header", shorten(name))
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return fmt.Errorf("header %s: its value has control characters, such as a line break at its end", name)
		}
	}
	return checkTimeout(timeout)
}

const headerName = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not an http or https URL", withoutSecrets(text))
	}
	return nil
}
