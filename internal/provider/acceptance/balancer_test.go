// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// lookEvery is how often the balancer asks a host whether it is ready.
const lookEvery = 50 * time.Millisecond

// balancer hands requests to the hosts that say that they are ready, in turn, as
// a load balancer does that does not try twice.
type balancer struct {
	client http.Client

	mu    sync.Mutex
	ready []*testrig.Host
	next  int
	tally
}

// tally is what became of the requests.
type tally struct {
	answered int
	lost     []string
	versions []string // seen, in the order of their first answers
}

// balance begins to watch the hosts and to make requests, several at a time,
// until the returned function is called.
func balance(t *testing.T, hosts []*testrig.Host, clients int) (stop func() tally) {
	t.Helper()
	b := &balancer{client: http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, h := range hosts {
		b.set(h, b.asks(ctx, h))
		all.Go(func() { b.watch(ctx, h) })
	}
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				b.request(ctx)
			}
		})
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return func() tally {
		cancel()
		all.Wait()
		return b.tally
	}
}

func (b *balancer) watch(ctx context.Context, h *testrig.Host) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.set(h, b.asks(ctx, h))
		}
	}
}

func (b *balancer) asks(ctx context.Context, h *testrig.Host) bool {
	status, _, err := b.get(ctx, h, "/ready")
	return err == nil && status == http.StatusOK
}

func (b *balancer) set(h *testrig.Host, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch n := slices.Index(b.ready, h); {
	case ready && n < 0:
		b.ready = append(b.ready, h)
	case !ready && n >= 0:
		b.ready = slices.Delete(slices.Clone(b.ready), n, n+1)
	}
}

// request makes one request to the next host that is ready.
func (b *balancer) request(ctx context.Context) {
	b.mu.Lock()
	var h *testrig.Host
	if len(b.ready) > 0 {
		b.next++
		h = b.ready[b.next%len(b.ready)]
	}
	b.mu.Unlock()
	lost := "no host is ready"
	var body string
	if h != nil {
		status, text, err := b.get(ctx, h, "/")
		lost, body = "", text
		if err != nil || status != http.StatusOK {
			lost = fmt.Sprintf("%s: status %d, %v", h.Name, status, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch version, _, _ := strings.Cut(body, " "); {
	case ctx.Err() != nil:
	case lost != "":
		b.lost = append(b.lost, lost)
	default:
		b.answered++
		if !slices.Contains(b.versions, version) {
			b.versions = append(b.versions, version)
		}
	}
}

func (b *balancer) get(ctx context.Context, h *testrig.Host, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", h.IP, appPort, path), nil)
	if err != nil {
		return 0, "", err
	}
	response, err := b.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return response.StatusCode, string(body), err
}
