// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		leaked.Add(1)
		fmt.Fprint(w, "1")
	}))
	t.Cleanup(elsewhere.Close)
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{"/away": elsewhere.URL + "/?token=s3cret", "/near": "/here", "/loop": "/loop", "/api/v1/query": elsewhere.URL}[r.URL.Path]
		switch {
		case r.URL.Path == "/moved/api/v1/query":
			http.Redirect(w, r, "/found/api/v1/query", http.StatusMovedPermanently)
		case r.URL.Path == "/kept/api/v1/query":
			http.Redirect(w, r, "/found/api/v1/query", http.StatusPermanentRedirect)
		case r.URL.Path == "/found/api/v1/query" && r.FormValue("query") == "up":
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}`)
		case to != "":
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		case r.Header.Get("X-Api-Key") != "s3cret":
			w.WriteHeader(http.StatusForbidden)
		default:
			fmt.Fprint(w, "2")
		}
	}))
	t.Cleanup(home.Close)
	key := map[string]string{"X-Api-Key": "s3cret"}
	for path, want := range map[string]string{"/near": "2", "/away": "redirected to another server, " + elsewhere.URL, "/loop": "redirected more than 5 times"} {
		expect(t, path, analysis.HTTP{URL: home.URL + path, Headers: key}, want)
	}
	for path, want := range map[string]string{"": "redirected to another server", "/moved": "would lose the query", "/kept": "3"} {
		expect(t, path, analysis.Prometheus{Address: home.URL + path, Expr: "up", Headers: key}, want)
	}
	if leaked.Load() != 0 {
		t.Error("a redirect carried the request to another server")
	}
}

// What a server answers may repeat what it was sent.
func TestAnswersThatRepeatSecrets(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := strings.Join([]string{r.Header.Get("Authorization"), r.URL.RawQuery, "\x1b[31m\nred"}, " ")
		switch r.URL.Path {
		case "/json":
			fmt.Fprintf(w, "%q", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		case "/api/v1/query":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":%q}`, r.Header.Get("Authorization"))
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, said)
		}
	}))
	t.Cleanup(server.Close)
	for _, query := range []analysis.Query{
		analysis.HTTP{URL: server.URL + "/?token=t0ken", Headers: auth},
		analysis.HTTP{URL: server.URL + "/json", Headers: auth},
		analysis.Prometheus{Address: server.URL, Expr: "up", Headers: auth},
	} {
		_, err := query.Run(t.Context())
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "t0ken") || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %q", query, err)
		}
		if strings.Contains(query.String(), "t0ken") {
			t.Errorf("it is shown as %s", query)
		}
	}
}

// A small answer can be a large one.
func TestACompressedFlood(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.CopyN(z, zeros{}, 4<<20)
		_ = z.Close()
	}))
	t.Cleanup(server.Close)
	expect(t, "flood", analysis.HTTP{URL: server.URL}, "the answer is larger than")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for n := range p {
		p[n] = '0'
	}
	return len(p), nil
}

// A server that goes on answering, a byte at a time, is not waited for.
func TestASlowAnswer(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{"body": "HTTP/1.1 200 OK\r\n\r\n", "header": "HTTP/1.1 200 OK\r\nX: ", "nothing": ""} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = connection.Close() }()
			if _, err := http.ReadRequest(bufio.NewReader(connection)); err != nil {
				return
			}
			_, _ = io.WriteString(connection, begin)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(connection, "1"); err != nil {
					return
				}
			}
		}()
		expect(t, name, analysis.HTTP{URL: "http://" + listener.Addr().String(), Timeout: 100 * time.Millisecond}, "no answer within 100ms")
	}
}

func TestHostHeader(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "metrics.acme.io" {
			fmt.Fprint(w, "5")
		}
	}))
	t.Cleanup(server.Close)
	expect(t, "host", analysis.HTTP{URL: server.URL, Headers: map[string]string{"host": "metrics.acme.io"}}, "5")
}
