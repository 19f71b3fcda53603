// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// wantAccess checks an AccessError.
func wantAccess(t *testing.T, err error, write bool, reason Reason, says ...string) {
	t.Helper()
	var access *AccessError
	if !errors.As(err, &access) {
		t.Errorf("not an AccessError: %v", err)
		return
	}
	if access.Write != write || access.Reason != reason || access.Advice == "" {
		t.Errorf("write %t, reason %q, advice %q: %v", access.Write, access.Reason, access.Advice, err)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("it does not say %q: %v", text, err)
		}
	}
}

// TestRegistryPullOnly: who may only pull can deploy, and is told so when it
// wants to release.
func TestRegistryPullOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rig := testrig.NewRegistry(t)
	path, a := artifactFile(t, []byte("pulled"))
	made := put(t, open(t, rig.Host+"/acme"), record("shop", "1.5.0", a), path)
	rig.SetPullOnly(true)
	s := open(t, rig.Host+"/acme")
	release, err := s.Get(ctx, "shop", "1.5.0")
	if err != nil || release.Digest != made.Digest {
		t.Fatal(err)
	}
	file, err := s.Artifact(ctx, release, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, file, []byte("pulled"))
	if _, err := s.Evidence(ctx, release); err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(ctx, record("shop", "1.5.1", a), path, evidence(t, noon))
	wantAccess(t, err, true, ReasonDenied, "403 Forbidden", "DENIED", "right to push to")
	wantAccess(t, s.Writable(ctx, "shop"), true, ReasonDenied)
	wantAccess(t, s.Probe(ctx, "shop"), true, ReasonDenied, "403 Forbidden", "right to push to")
	wantAccess(t, s.PutEvent(ctx, "shop", storyOf("shop", "op-1", "failed", noon)), true, ReasonDenied)
	// What exists already needs no right to write.
	if again, err := s.Put(ctx, record("shop", "1.5.0", a), path, evidence(t, noon)); err != nil || again.Digest != made.Digest {
		t.Fatal(err)
	}
}

func TestRegistryReadOnlyMode(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, testrig.NewRegistry(t, testrig.ReadOnly()).Host)
	path, a := artifactFile(t, []byte("x"))
	_, err := s.Put(ctx, record("shop", "1.5.0", a), path, evidence(t, noon))
	wantAccess(t, err, true, ReasonReadOnly, "405", "read-only")
	wantAccess(t, s.Writable(ctx, "shop"), true, ReasonReadOnly)
	wantAccess(t, s.Probe(ctx, "shop"), true, ReasonReadOnly)
}

func TestRegistryLogin(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rig := testrig.NewRegistry(t, testrig.RegistryLogin("ci", "s3cret"))
	const give, check = "Give the provider a registry block for ", "Check the username and the password of the provider's registry block for "
	for name, c := range map[string]struct {
		given         RegistryCredential
		advice, other string
	}{
		"wrong password": {RegistryCredential{Host: rig.Host, Username: "ci", Password: "guessed"}, check, give},
		"another host's": {RegistryCredential{Host: "registry.acme.io", Username: "ci", Password: "s3cret"}, give, check},
	} {
		s := open(t, rig.Host+"/acme", c.given)
		_, err := s.Get(ctx, "shop", "1.5.0")
		wantAccess(t, err, false, ReasonDenied, "401 Unauthorized", c.advice+rig.Host, "right to pull from")
		if strings.Contains(err.Error(), "guessed") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: a password is in the error: %v", name, err)
		}
		if strings.Contains(err.Error(), c.other) {
			t.Errorf("%s: the advice is that for another case: %v", name, err)
		}
		wantAccess(t, s.Writable(ctx, "shop"), true, ReasonDenied, c.advice+rig.Host, "right to push to")
	}
}

// TestRegistryDockerLogin: without credentials of its own the store uses those
// that docker login left.
func TestRegistryDockerLogin(t *testing.T) {
	rig := testrig.NewRegistry(t, testrig.RegistryLogin("ci", "s3cret"))
	dir := t.TempDir()
	config := `{"auths":{"` + rig.Host + `":{"username":"ci","password":"s3cret"}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", dir)
	path, a := artifactFile(t, []byte("x"))
	put(t, open(t, rig.Host), record("shop", "1.5.0", a), path)
}

func TestRegistryBrokenDockerLogin(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"no-such-helper"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", dir)
	_, err := open(t, "127.0.0.1:1").Get(context.Background(), "shop", "1.5.0")
	wantAccess(t, err, false, ReasonDenied, "no-such-helper", "registry block for 127.0.0.1:1")
}

func TestRegistryGone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, host).Get(context.Background(), "shop", "1.5.0")
	wantAccess(t, err, false, ReasonUnreachable, "connection refused", "Check that "+host+" is up")
}

// TestRegistryReferrers: where there is a referrers API that works, evidence is
// found from its release by standard tools; elsewhere nothing has a subject.
func TestRegistryReferrers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	blind := func(next http.Handler) http.Handler { // knows the question, forgets the answer
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				w.Header().Set("Content-Type", indexType)
				_, _ = w.Write([]byte(`{"schemaVersion":2,"mediaType":"` + indexType + `","manifests":[]}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, c := range map[string]struct {
		host   string
		linked bool
	}{
		"works": {inProcess(t, nil, registry.WithReferrersSupport(true)), true},
		"none":  {inProcess(t, nil), false},
		"blind": {inProcess(t, blind, registry.WithReferrersSupport(true)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, c.host).(*releases)
			path, a := artifactFile(t, []byte("x"))
			release := put(t, s, record("shop", "1.5.0", a), path)
			b, err := s.place("shop")
			if err != nil {
				t.Fatal(err)
			}
			raw, err := b.manifest(ctx, "e.1.5.0.checks")
			if err != nil {
				t.Fatal(err)
			}
			var m manifest
			if err := json.Unmarshal(raw.data, &m); err != nil {
				t.Fatal(err)
			}
			if linked := m.Subject != nil; linked != c.linked {
				t.Fatalf("subject %+v", m.Subject)
			}
			if m.Annotations[annotationSubject] != release.Digest {
				t.Fatalf("annotations %v", m.Annotations)
			}
			if listed := b.(*remote).refers(ctx, release.Digest, raw.Digest); listed != c.linked {
				t.Fatalf("listed: %t", listed)
			}
			// Nothing is tagged besides the release and its evidence.
			if tags, err := b.tags(ctx); err != nil || len(tags) != 2 {
				t.Fatalf("%v %v", tags, err)
			}
		})
	}
}

// TestRegistryOrder: the release's tag comes last, after its evidence.
func TestRegistryOrder(t *testing.T) {
	t.Parallel()
	rig := testrig.NewRegistry(t)
	path, a := artifactFile(t, []byte("x"))
	put(t, open(t, rig.Host), record("shop", "1.5.0", a), path)
	requests := rig.Requests()
	release := slices.Index(requests, "PUT /v2/shop/manifests/1.5.0")
	evidence := slices.Index(requests, "PUT /v2/shop/manifests/e.1.5.0.checks")
	last := -1
	for n, r := range requests {
		if strings.HasPrefix(r, "PUT ") || strings.HasPrefix(r, "PATCH ") {
			last = n
		}
	}
	if evidence < 0 || release < evidence || release != last {
		t.Fatalf("requests:\n%s", strings.Join(requests, "\n"))
	}
}

// TestRegistryRedirect: registries keep blobs elsewhere; credentials do not go there.
func TestRegistryRedirect(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var inner http.Handler
	var leaked, served atomic.Int32
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.Header.Get("Authorization") != "" {
			leaked.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(storage.Close)
	host := inProcess(t, func(next http.Handler) http.Handler {
		inner = next
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, password, _ := r.BasicAuth(); password != "s3cret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:") {
				http.Redirect(w, r, storage.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	registryHost, _, _ := strings.Cut(host, "/")
	s := open(t, host, RegistryCredential{Host: registryHost, Username: "ci", Password: "s3cret"})
	path, a := artifactFile(t, []byte("elsewhere"))
	release := put(t, s, record("shop", "1.5.0", a), path)
	file, err := s.Artifact(ctx, release, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, file, []byte("elsewhere"))
	if served.Load() == 0 || leaked.Load() != 0 {
		t.Fatalf("%d requests elsewhere, %d with credentials", served.Load(), leaked.Load())
	}
}

// TestRegistryPassingTrouble: what may go away by itself is tried again, and
// what stays is an error soon.
func TestRegistryPassingTrouble(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	trouble := func(every int32, status int) func(http.Handler) http.Handler {
		var n atomic.Int32
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1)%every == 0 {
					if status == 0 {
						panic(http.ErrAbortHandler) // cuts the connection
					}
					w.WriteHeader(status)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	data := []byte(strings.Repeat("some bytes ", 1000))
	path, a := artifactFile(t, data)
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"unavailable": trouble(5, http.StatusServiceUnavailable), "too many": trouble(5, http.StatusTooManyRequests), "cut off": trouble(7, 0),
	} {
		s := openFast(t, inProcess(t, wrap))
		release := put(t, s, record("shop", "1.5.0", a), path)
		file, err := s.Artifact(ctx, release, t.TempDir())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameBytes(t, file, data)
	}
	s := openFast(t, inProcess(t, trouble(1, http.StatusServiceUnavailable)))
	_, err := s.Get(ctx, "shop", "1.5.0")
	wantAccess(t, err, false, ReasonUnreachable, "503")
}

func TestRegistryOverwrittenTag(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, inProcess(t, nil)).(*releases)
	path, a := artifactFile(t, []byte("mine"))
	first := put(t, s, record("shop", "1.5.0", a), path)
	b, err := s.place("shop")
	if err != nil {
		t.Fatal(err)
	}
	// Somebody pushes over it with another tool: first something else, then
	// another record.
	empty := newContent(emptyType, emptyBlob)
	image, err := manifest{Config: empty.descriptor, Layers: []descriptor{empty.descriptor}}.content()
	if err != nil {
		t.Fatal(err)
	}
	r := b.(*remote)
	if err := r.upload(ctx, empty.descriptor, bytesBody(empty.data)); err != nil {
		t.Fatal(err)
	}
	if err := r.putManifest(ctx, "1.5.0", image); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "shop", "1.5.0"); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "something else was pushed") {
		t.Fatalf("%v", err)
	}
	if _, err := s.Put(ctx, record("shop", "1.5.0", a), path, evidence(t, noon)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v", err)
	}
	other := record("shop", "1.6.0", a)
	other.Schema = RecordSchema
	config, moved, err := releaseManifest(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.upload(ctx, config.descriptor, bytesBody(config.data)), r.putManifest(ctx, "1.5.0", moved)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "shop", "1.5.0"); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "the record of shop:1.6.0") {
		t.Fatalf("%v", err)
	}
	if first.Digest == moved.Digest {
		t.Fatal("two releases have one digest")
	}
}
