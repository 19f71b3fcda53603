// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"net/http"
	"strings"
	"sync"
)

// recorder notes what it is asked and answers nothing.
type recorder struct {
	mu   sync.Mutex
	urls []string
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.urls = append(r.urls, req.URL.String())
	return nil, errors.New("nobody is there")
}

// plain tells whether it was asked anything without TLS.
func (r *recorder) plain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.urls {
		if strings.HasPrefix(u, "http://") {
			return true
		}
	}
	return false
}
