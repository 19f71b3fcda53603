// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// HTTP gets a JSON document and takes the number at a JSON pointer (RFC 6901).
type HTTP struct {
	URL     string            // its path and query may have placeholders of a [Subject]
	Headers map[string]string // may be secret; never shown
	Pointer string            // such as "/data/error_rate"; "" is the whole document
	Timeout time.Duration     // 0: ten seconds
	Client  *http.Client      // nil: one of this package; redirects stay on the server either way
}

var _ Query = HTTP{}

// Validate checks URL, headers, pointer and timeout.
func (q HTTP) Validate() error {
	if err := checkRequest(q.URL, q.Headers, q.Timeout); err != nil {
		return err
	}
	if err := checkPlaceholders(q.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return checkPointer(q.Pointer)
}

// About fills in the URL.
func (q HTTP) About(subject Subject) (Query, error) {
	var err error
	if q.URL, err = fill(q.URL, subject.members(), inURL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	return q, nil
}

func (q HTTP) String() string {
	text := "GET " + withoutSecrets(q.URL)
	if q.Pointer != "" {
		text += ", the number at " + shorten(q.Pointer)
	}
	return text
}

// Run gets the document; any status but 200 is an error.
func (q HTTP) Run(ctx context.Context) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, hopelessError{err}
	}
	to := question{client: q.Client, headers: q.Headers, timeout: q.Timeout, secrets: secretsOf(q.URL, q.Headers)}
	status, body, err := to.ask(ctx, http.MethodGet, q.URL, nil)
	if err != nil {
		return Sample{}, err
	}
	if status != http.StatusOK {
		text := to.secrets.hide(strings.TrimSpace(string(body)))
		return Sample{}, fmt.Errorf("GET %s: status %d: %s", withoutSecrets(q.URL), status, shortenTo(200, text))
	}
	sample, err := extract(body, q.Pointer)
	if err != nil {
		return Sample{}, fmt.Errorf("GET %s: %s", withoutSecrets(q.URL), to.secrets.hide(err.Error()))
	}
	return sample, nil
}
