// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

const (
	commitA = "0123456789abcdef0123456789abcdef01234567"
	commitB = "fedcba9876543210fedcba9876543210fedcba98"
)

var (
	definitionA = digestOf([]byte("definition a"))
	definitionB = digestOf([]byte("definition b"))
	noon        = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
)

// fast are limits for registries that misbehave in a test.
var fast = limits{quiet: 5 * time.Second, commit: 5 * time.Second, backoff: time.Millisecond}

// artifactFile writes an artifact and describes it.
func artifactFile(t testing.TB, data []byte) (path string, a Artifact) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "artifact")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, Artifact{
		MediaType: "application/vnd.tfdelivery.archive.v1.tar+zstd",
		Digest:    digestOf(data), DiffID: digestOf(append([]byte("plain"), data...)),
		Size: int64(len(data)), Files: 3,
	}
}

func record(pipeline, version string, a Artifact) Record {
	return Record{
		Pipeline: pipeline, Version: version, Commit: commitA, Definition: definitionA,
		Ref: "main", Source: "https://git.acme.io/shop.git", Artifact: a,
	}
}

// evidence is what a run with one stage leaves.
func evidence(t testing.TB, at time.Time) Evidence {
	t.Helper()
	dir := t.TempDir()
	report, output := filepath.Join(dir, "report.xml"), filepath.Join(dir, "output.log")
	for path, text := range map[string]string{report: "<testsuite tests=\"3\"/>", output: "3 passed\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Evidence{
		CreatedAt: at,
		Checks:    map[string]Check{"test": {Status: "passed", Tests: 3, Skipped: 1, Duration: 1500 * time.Millisecond}},
		Files: []EvidenceFile{
			{Stage: "test", Kind: FileJUnit, Name: "report.xml", Path: report},
			{Stage: "test", Kind: FileLog, Name: "output.log", Path: output},
		},
	}
}

func open(t testing.TB, location string, credentials ...RegistryCredential) Store {
	t.Helper()
	s, err := Open(Config{Location: location, Credentials: credentials})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openFast opens a registry whose failures are not waited for.
func openFast(t testing.TB, location string) Store {
	t.Helper()
	at, err := ParseLocation(location)
	if err != nil {
		t.Fatal(err)
	}
	return &releases{at: at, places: map[string]backend{}, open: func(pipeline string) (backend, error) {
		return newLimitedRemote(at, pipeline, login{other: anonymous{}}, newTransport(), fast)
	}}
}

// anonymous is a keychain without keys.
type anonymous struct{}

func (anonymous) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

// inProcess serves go-containerregistry's own registry.
func inProcess(t testing.TB, wrap func(http.Handler) http.Handler, options ...registry.Option) string {
	t.Helper()
	handler := registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/acme"
}

// places are all kinds of stores that take releases.
func places(t *testing.T) map[string]func() Store {
	t.Helper()
	plain := testrig.NewRegistry(t)
	immutable := testrig.NewRegistry(t, testrig.ImmutableTags())
	private := testrig.NewRegistry(t, testrig.RegistryLogin("ci", "s3cret"))
	linked := inProcess(t, nil, registry.WithReferrersSupport(true))
	unlinked := inProcess(t, nil)
	dir := t.TempDir()
	at := func(location string, credentials ...RegistryCredential) func() Store {
		return func() Store { return open(t, location, credentials...) }
	}
	return map[string]func() Store{
		"directory":                    at(dir),
		"registry":                     at(plain.Host + "/acme"),
		"registry without a prefix":    at(plain.Host),
		"registry with immutable tags": at(immutable.Host + "/acme"),
		"registry with a login":        at(private.Host+"/acme", RegistryCredential{Host: private.Host, Username: "ci", Password: "s3cret"}),
		"registry with referrers":      at(linked),
		"registry without referrers":   at(unlinked),
	}
}

func put(t testing.TB, s Store, r Record, path string) Release {
	t.Helper()
	release, err := s.Put(context.Background(), r, path, evidence(t, noon))
	if err != nil {
		t.Fatalf("put %s: %v", r.Version, err)
	}
	return release
}

func sameBytes(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s has %d other bytes", path, len(got))
	}
}
