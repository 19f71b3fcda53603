// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	pause  = 10 * time.Millisecond // between two requests
	knock  = 5 * time.Millisecond  // between two attempts to connect
	atMost = 5 * time.Second       // that a user waits for a connection
)

// users are requests, one after the other, while versions change.
type users struct {
	url    string
	cancel context.CancelFunc
	ended  chan struct{}
	once   sync.Once
	seen   tally
}

// tally is what became of the requests.
type tally struct {
	answered, failed int
	longest          time.Duration
	lastError        error
}

func (t tally) String() string {
	text := fmt.Sprintf("%d requests, %d answered, the slowest after %d ms", t.answered+t.failed, t.answered, t.longest.Milliseconds())
	if t.lastError != nil {
		text += fmt.Sprintf(", the last failure: %v", t.lastError)
	}
	return text
}

// watch asks for a page until it is stopped. Like a reverse proxy, a user
// whose connection is refused, or reset before anybody took it, because the
// service is just being restarted, tries again for some seconds; an answer that
// breaks off, or any status but 200, is a failure.
func watch(url string) *users {
	ctx, cancel := context.WithCancel(context.Background())
	u := &users{url: url, cancel: cancel, ended: make(chan struct{})}
	go u.ask(ctx)
	return u
}

// stop ends the requests and counts them. It can be called again.
func (u *users) stop() tally {
	u.once.Do(u.cancel)
	<-u.ended
	return u.seen
}

func (u *users) ask(ctx context.Context) {
	defer close(u.ended)
	next := time.NewTicker(pause)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		started := time.Now()
		err := u.request(ctx, started.Add(atMost))
		if ctx.Err() != nil {
			return
		}
		u.seen.longest = max(u.seen.longest, time.Since(started))
		if err != nil {
			u.seen.failed++
			u.seen.lastError = err
		} else {
			u.seen.answered++
		}
	}
}

// request is one request; it knocks until somebody opens.
func (u *users) request(ctx context.Context, deadline time.Time) error {
	retry := time.NewTicker(knock)
	defer retry.Stop()
	for {
		_, err := page(ctx, u.url)
		if err == nil || !refused(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry.C:
		}
	}
}

// client opens a connection for each request, as new users do.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func page(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", response.Status)
	}
	return strings.TrimSpace(string(body)), nil
}

// expect fetches the page and prints it.
func expect(ctx context.Context, url, want string) error {
	got, err := page(ctx, url)
	if err != nil {
		return err
	}
	fmt.Printf("\n  GET %s\n  %s\n\n", url, got)
	if got != want {
		return fmt.Errorf("%s answered %q, not %q", url, got, want)
	}
	return nil
}

// answers says whether anybody answers at all.
func answers(ctx context.Context, url string) bool {
	_, err := page(ctx, url)
	return !refused(err)
}

// refused says whether nobody took the connection: none was made, or the
// system took it back.
func refused(err error) bool {
	var failure *net.OpError
	return errors.As(err, &failure) && (failure.Op == "dial" || errors.Is(err, syscall.ECONNRESET))
}

// freePort finds a port that nobody uses.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func installed(program string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%s is needed and not installed: %w", program, err)
	}
	return nil
}
