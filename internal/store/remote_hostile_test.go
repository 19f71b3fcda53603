// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// hostile serves a registry that answers as it is told.
func hostile(t *testing.T, answers func(w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		answers(w, r)
	}))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// endless writes until nobody reads any more.
func endless(w io.Writer) {
	block := bytes.Repeat([]byte(" "), 64<<10)
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestHostileManifest(t *testing.T) {
	t.Parallel()
	config := `{"mediaType":"` + ReleaseType + configSuffix + `","digest":"` + definitionA + `","size":%s}`
	whole := `{"schemaVersion":2,"mediaType":"` + manifestType + `","artifactType":"` + ReleaseType + `","config":` + config + `,"layers":[` + config + `]}`
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		says   string
	}{
		"endless":        {func(w http.ResponseWriter, _ *http.Request) { endless(w) }, "more than 4 MiB"},
		"no JSON":        {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "not readable"},
		"two documents":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, whole+whole, "1", "1", "1", "1") }, "not readable"},
		"nested":         {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("[", 1<<20)) }, "not readable"},
		"huge config":    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, whole, "1e12", "1") }, "not readable"},
		"larger config":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, whole, "99999999999", "1") }, "bytes"},
		"negative layer": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, whole, "1", "-1") }, "bytes"},
		"path for digest": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.ReplaceAll(fmt.Sprintf(whole, "1", "1"), definitionA, "sha256:../../etc/passwd"))
		}, "refers to"},
		"other config": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				fmt.Fprint(w, "{")
				return
			}
			fmt.Fprintf(w, whole, "1", "1")
		}, "sent something else"},
		"endless config": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				endless(w)
				return
			}
			fmt.Fprintf(w, whole, "1", "1")
		}, "more than 4 MiB"},
		"lost config": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			fmt.Fprintf(w, whole, "1", "1")
		}, "has lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openFast(t, hostile(t, c.answer)).Get(context.Background(), "shop", "1.5.0")
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func TestHostileArtifact(t *testing.T) {
	t.Parallel()
	data := []byte("what was released")
	_, a := artifactFile(t, data)
	release := Release{Record: record("shop", "1.5.0", a)}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"endless":    func(w http.ResponseWriter) { endless(w) },
		"other":      func(w http.ResponseWriter) { fmt.Fprint(w, "what was releaseD") },
		"too long":   func(w http.ResponseWriter) { fmt.Fprintf(w, "%s!", data) },
		"cut short":  func(w http.ResponseWriter) { fmt.Fprintf(w, "%s", data[:5]) },
		"compressed": func(w http.ResponseWriter) { w.Header().Set("Content-Encoding", "gzip"); fmt.Fprint(w, "\x1f\x8b") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openFast(t, hostile(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
			dir := t.TempDir()
			if _, err := s.Artifact(context.Background(), release, dir); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v", err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Fatalf("%v was left: %v", left, err)
			}
		})
	}
}

func TestHostileTags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		says   string
	}{
		"endless page": {func(w http.ResponseWriter, _ *http.Request) { endless(w) }, "more than 4 MiB"},
		"endless pages": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+r.URL.Path+"?last=1>; rel=\"next\"")
			fmt.Fprint(w, `{"tags":["1.0.0"]}`)
		}, "does not end"},
		"another host's page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<http://169.254.169.254/latest>; rel=\"next\"")
			fmt.Fprint(w, `{"tags":[]}`)
		}, "goes on at"},
		"no list": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"tags":7}`) }, "not readable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openFast(t, hostile(t, c.answer)).Versions(context.Background(), "shop")
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v", err)
			}
		})
	}
}

// TestHostileTagNames: tags that are not ours are passed over.
func TestHostileTagNames(t *testing.T) {
	t.Parallel()
	s := openFast(t, hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"tags":["latest","1.0","v1.0.0","../x","e.1.0.0.checks","d.a.b.c.d.e","1.0.0","1.0.0","d.e.d.20260102T120000Z.failed.o"]}`)
	}))
	versions, err := s.Versions(context.Background(), "shop")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%v %v", versions, err)
	}
	events, err := s.Events(context.Background(), "shop", EventFilter{})
	if err != nil || len(events) != 1 {
		t.Fatalf("%v %v", events, err)
	}
}

func TestHostileRedirects(t *testing.T) {
	t.Parallel()
	for target, says := range map[string]string{
		"http://169.254.169.254/latest/meta-data/": "refused",
		"http://registry.acme.io/x":                "refused to speak plain HTTP to registry.acme.io",
		"/v2/shop/manifests/1.5.0":                 "in circles",
	} {
		s := openFast(t, hostile(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		_, err := s.Get(context.Background(), "shop", "1.5.0")
		wantAccess(t, err, false, ReasonUnreachable, says)
	}
}

// TestHostileUploads: where an upload is sent to is up to the registry, but not
// to this machine or without TLS.
func TestHostileUploads(t *testing.T) {
	t.Parallel()
	path, a := artifactFile(t, []byte("x"))
	for target, says := range map[string]string{
		"":                          "does not say where the upload goes on",
		"http://other.acme.io/up":   "refused to speak plain HTTP to other.acme.io",
		"http://localhost:1/upload": "refused to send the upload to localhost",
	} {
		s := openFast(t, hostile(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusAccepted)
		}))
		_, err := s.Put(context.Background(), record("shop", "1.5.0", a), path, evidence(t, noon))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", target, err)
		}
	}
}

// TestHostileSilence: a registry that stops in the middle ends in an error,
// and cancelling ends it at once.
func TestHostileSilence(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	reached := make(chan struct{}, 16)
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		reached <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	host := hostile(t, silent)
	at, err := ParseLocation(host)
	if err != nil {
		t.Fatal(err)
	}
	quick := limits{quiet: 50 * time.Millisecond, commit: 50 * time.Millisecond, backoff: time.Millisecond}
	b, err := newLimitedRemote(at, "shop", login{other: anonymous{}}, newTransport(), quick)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.manifest(context.Background(), "1.5.0")
	wantAccess(t, err, false, ReasonUnreachable, "did not answer in time")
	<-reached

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := openFast(t, host).Get(ctx, "shop", "1.5.0"); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

// TestPlainHTTP: a registry that is not on this machine is spoken to over TLS,
// also when it is in a private network and offers nothing else.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for location, refused := range map[string]bool{
		"registry.lan:5000/shop":        true,
		"10.0.0.7:5000":                 true,
		"http://registry.lan:5000/shop": false,
		"http://10.0.0.7:5000":          false,
	} {
		at, err := ParseLocation(location)
		if err != nil {
			t.Fatal(err)
		}
		asked := &recorder{}
		b, err := newLimitedRemote(at, "shop", login{other: anonymous{}}, asked, fast)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.manifest(context.Background(), "1.5.0")
		if err == nil {
			t.Errorf("%s answered", location)
		}
		if asked.plain() == refused {
			t.Errorf("%s: plain HTTP %t, asked %v", location, !refused, asked.urls)
		}
	}
}
