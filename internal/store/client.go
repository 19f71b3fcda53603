// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// client speaks the OCI distribution protocol
// (https://github.com/opencontainers/distribution-spec/blob/main/spec.md) with
// one repository. Logging in and tokens are go-containerregistry's; requests
// are made here, so that sizes, times and attempts are bounded and every one
// can be cancelled.
type client struct {
	repo   name.Repository
	login  login
	base   *guard
	limits limits

	mu     sync.Mutex
	logins map[string]http.RoundTripper // by scope
}

// scopes of a login.
const (
	pull = transport.PullScope
	push = transport.PushScope
)

// statusError is an answer that is not what was asked for.
type statusError struct {
	answer *transport.Error
	after  time.Duration // the registry asks to wait so long
}

func (e *statusError) Error() string { return e.answer.Error() }
func (e *statusError) Unwrap() error { return e.answer }

// call is one request, made again when it fails for a passing reason.
type call struct {
	scope     string
	method    string
	url       string // absolute, or a path below /v2/<repository>
	header    http.Header
	body      func() (io.ReadCloser, error)
	size      int64 // of the body
	unbounded bool  // the answer may be large
	once      bool  // attempts are the caller's business
}

// do answers with a response of status 2xx, or an error.
func (c *client) do(ctx context.Context, k call) (*http.Response, error) {
	if k.once {
		return c.attempt(ctx, k)
	}
	return again(ctx, c.limits, func() (*http.Response, error) { return c.attempt(ctx, k) })
}

// again makes attempts until one succeeds or fails for good.
func again[T any](ctx context.Context, limits limits, attempt func() (T, error)) (T, error) {
	pause := limits.backoff
	for n := 1; ; n++ {
		got, err := attempt()
		if err == nil || n == attempts || ctx.Err() != nil || !passing(err) {
			return got, err
		}
		wait := pause + rand.N(pause/4+1)
		var status *statusError
		if errors.As(err, &status) {
			wait = max(wait, status.after)
		}
		pause *= 2
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return got, ctx.Err()
		}
	}
}

func (c *client) attempt(ctx context.Context, k call) (*http.Response, error) {
	roundTripper, err := c.authorized(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	if k.unbounded {
		ctx = context.WithValue(ctx, unboundedKey{}, true)
	}
	var body io.ReadCloser
	if k.body != nil {
		if body, err = k.body(); err != nil {
			return nil, err
		}
	}
	target := k.url
	if len(target) > 0 && target[0] == '/' {
		u := url.URL{Scheme: c.repo.Scheme(), Host: c.repo.RegistryStr()}
		target = u.String() + "/v2/" + c.repo.RepositoryStr() + target
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		drain(body)
		return nil, err
	}
	req.GetBody = k.body
	if body != nil {
		req.ContentLength = k.size
	}
	for key, values := range k.header {
		req.Header[key] = values
	}
	resp, err := (&http.Client{Transport: roundTripper, CheckRedirect: checkRedirect}).Do(req)
	if err != nil {
		return nil, plainError(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	err = transport.CheckError(resp)
	var answered *transport.Error
	if errors.As(err, &answered) {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		after := time.Duration(min(max(seconds, 0), 10)) * time.Second
		return nil, &statusError{answered, after}
	}
	return nil, err
}

// authorized logs in, once for each scope.
func (c *client) authorized(ctx context.Context, scope string) (http.RoundTripper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rt, ok := c.logins[scope]; ok {
		return rt, nil
	}
	auth, err := c.login.resolve(ctx, c.repo)
	if err != nil {
		return nil, err
	}
	base := transport.NewUserAgent(c.base, "terraform-provider-delivery")
	rt, err := transport.NewWithContext(ctx, c.repo.Registry, auth, base, []string{c.repo.Scope(scope)})
	if err != nil {
		return nil, plainError(err)
	}
	c.logins[scope] = rt
	return rt, nil
}

// plainError takes the request off an error, whose URL may hold a signature.
func plainError(err error) error {
	for {
		u, ok := err.(*url.Error) //nolint:errorlint // only the outermost: errors.As would look into joined ones
		if !ok {
			return err
		}
		err = u.Err
	}
}

// checkRedirect follows a few redirects (registries keep blobs elsewhere), but
// never from another host to this machine or to the metadata service of a
// cloud. Credentials do not follow: they are only sent to the registry.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("the registry redirects in circles")
	}
	to, from := req.URL.Hostname(), via[0].URL.Hostname()
	ip := net.ParseIP(to)
	if to != from && (loopback(to) || ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())) {
		return fmt.Errorf("refused to follow the registry's redirect to %s", to)
	}
	return nil
}

// read gives the body of a small answer.
func read(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// discard ends an answer whose body does not matter.
func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		resp.Body.Close()
	}
}

func bytesBody(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}
