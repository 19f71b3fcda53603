// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// limits bound what a registry can do to us.
type limits struct {
	quiet   time.Duration // longest time without a byte of an answer
	commit  time.Duration // the same while a registry stores what it was sent
	backoff time.Duration // before the second attempt; doubles
}

var defaultLimits = limits{quiet: 30 * time.Second, commit: 5 * time.Minute, backoff: 500 * time.Millisecond}

const attempts = 4

var errQuiet = errors.New("the registry did not answer in time")

// newTransport dials; HTTP proxies are those of the environment.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true, // digests are of the bytes as they are
	}
}

type unboundedKey struct{}

// guard is below everything that speaks HTTP for the store, also below the
// exchange of tokens. It refuses plain HTTP to where it is not allowed,
// bounds answers, and ends requests in which nothing moves any more.
type guard struct {
	inner  http.RoundTripper
	at     Location
	limits limits
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	plainAllowed := g.at.PlainHTTP && req.URL.Host == g.at.Host || loopback(req.URL.Host)
	if req.URL.Scheme != "https" && !plainAllowed {
		drain(req.Body)
		return nil, fmt.Errorf("refused to speak plain HTTP to %s", req.URL.Host)
	}
	limit := g.limits.quiet
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		limit = g.limits.commit
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() { cancel(errQuiet) })
	req = req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &watchedBody{ReadCloser: req.Body, watch: w}
		if again := req.GetBody; again != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				return &watchedBody{ReadCloser: body, watch: w}, err
			}
		}
	}
	resp, err := g.inner.RoundTrip(req)
	if err != nil {
		w.stop()
		if errors.Is(context.Cause(ctx), errQuiet) {
			return nil, errQuiet
		}
		return nil, err
	}
	body := &watchedBody{ReadCloser: resp.Body, watch: w, last: true, ctx: ctx, left: maxManifest}
	// Not a reply of the token service on the way there.
	wanted := strings.Contains(req.URL.Path, "/blobs/") || req.Response != nil
	if req.Context().Value(unboundedKey{}) != nil && wanted && resp.StatusCode/100 == 2 {
		body.left = -1
	}
	resp.Body = body
	return resp, nil
}

func drain(body io.Closer) {
	if body != nil {
		body.Close()
	}
}

// watch ends a request in which nothing moved for as long as its limit.
type watch struct {
	limit   time.Duration
	timer   *time.Timer
	cancel  context.CancelCauseFunc
	stopped atomic.Bool
}

func (w *watch) moved() {
	if !w.stopped.Load() {
		w.timer.Reset(w.limit)
	}
}

func (w *watch) stop() {
	w.stopped.Store(true)
	w.timer.Stop()
	w.cancel(context.Canceled)
}

type watchedBody struct {
	io.ReadCloser
	watch *watch
	last  bool // the answer's, with which the request ends
	ctx   context.Context
	left  int64 // bytes that may still come; below zero: any number
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.moved()
	}
	if !b.last {
		return n, err
	}
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			return 0, corrupt("the registry's answer has more than %d MiB", maxManifest>>20)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(b.ctx), errQuiet) {
		err = errQuiet
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.last {
		b.watch.stop()
	}
	return err
}
