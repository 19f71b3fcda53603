// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

func TestItGreetsAndTellsItsVersion(t *testing.T) {
	answer := get(t, "/")
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d", answer.Code)
	}
	for _, want := range []string{greeting(), strings.TrimSpace(version)} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%q does not contain %q", answer.Body, want)
		}
	}
}

func TestItIsHealthy(t *testing.T) {
	if answer := get(t, "/healthz"); answer.Code != http.StatusOK {
		t.Errorf("status %d", answer.Code)
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	if answer := get(t, "/nowhere"); answer.Code != http.StatusNotFound {
		t.Errorf("status %d", answer.Code)
	}
}
