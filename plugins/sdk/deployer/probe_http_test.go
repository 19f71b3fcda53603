// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// listening says where a listener of this machine is.
func listening(a net.Addr) (host string, port int) {
	tcp := a.(*net.TCPAddr)
	return tcp.IP.String(), tcp.Port
}

// nobody is a port where nothing listens.
func nobody(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port := listening(l.Addr())
	_ = l.Close()
	return port
}

// speaking answers whoever connects with some bytes, and hangs up when the
// other side does.
func speaking(t *testing.T, words string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, words)
				if words != "" {
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	_, port := listening(l.Addr())
	return port
}

func probe(t *testing.T, p deployer.Probe) deployer.CheckResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := deployer.ProbeFrom(ctx, p, (&net.Dialer{}).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// wantResult asserts a status and parts of the reason.
func wantResult(t *testing.T, got deployer.CheckResult, status deployer.CheckStatus, parts ...string) {
	t.Helper()
	if got.Status != status {
		t.Errorf("got %+v, want %s", got, status)
	}
	for _, part := range append(parts, " ") {
		if !strings.Contains(got.Reason, part) {
			t.Errorf("the reason %q does not say %q", got.Reason, part)
		}
	}
}

func app(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		http.Redirect(w, r, "/bad", http.StatusFound)
	case "/bad":
		http.Error(w, "the database is away", http.StatusServiceUnavailable)
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	case "/a b":
		_, _ = io.WriteString(w, "spaced")
	case "/long":
		_, _ = io.WriteString(w, strings.Repeat("x", 64<<10)+"end")
	case "/endless":
		_, _ = io.WriteString(w, "ready, and more to come\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/broken":
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "half")
	case "/packed":
		w.Header().Set("Content-Encoding", r.Header.Get("Accept-Encoding"))
		_, _ = io.WriteString(w, "plain")
	default:
		_, _ = fmt.Fprintf(w, "%s %s %s\nX-Key: %s\n", r.Method, r.Host, r.URL.RawQuery, r.Header.Get("X-Key"))
	}
}

func TestHTTPProbe(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(app))
	t.Cleanup(server.Close)
	_, port := listening(server.Listener.Addr())
	for name, c := range map[string]struct {
		probe deployer.HTTPProbe
		want  deployer.CheckStatus
		says  string
	}{
		"plain":              {deployer.HTTPProbe{}, deployer.CheckPass, "GET http://127.0.0.1:"},
		"redirect":           {deployer.HTTPProbe{Path: "moved"}, deployer.CheckPass, "302 Found"},
		"redirect not ok":    {deployer.HTTPProbe{Path: "/moved", Statuses: []deployer.StatusRange{{From: 200, To: 204}, {From: 401, To: 401}}}, deployer.CheckFail, "302 Found, and not 200 to 204 or 401"},
		"bad":                {deployer.HTTPProbe{Path: "/bad"}, deployer.CheckFail, "503 Service Unavailable"},
		"bad is what I want": {deployer.HTTPProbe{Path: "/bad", Statuses: []deployer.StatusRange{{From: 503, To: 503}}}, deployer.CheckPass, "503"},
		"method":             {deployer.HTTPProbe{Method: "POST", BodyMatches: "^POST "}, deployer.CheckPass, "POST http"},
		"head":               {deployer.HTTPProbe{Method: "HEAD"}, deployer.CheckPass, "HEAD http"},
		"host and query":     {deployer.HTTPProbe{Path: "?x=1&y=%20", Headers: map[string]string{"host": "app.example.com", "X-Key": "k"}, BodyMatches: `^GET app\.example\.com x=1&y=%20\nX-Key: k\n$`}, deployer.CheckPass, "matches"},
		"escaped":            {deployer.HTTPProbe{Path: "/a%20b", BodyMatches: "^spaced$"}, deployer.CheckPass, "/a%20b"},
		"no match":           {deployer.HTTPProbe{BodyMatches: "POST"}, deployer.CheckFail, `does not match "POST"`},
		"empty body":         {deployer.HTTPProbe{Path: "/empty", BodyMatches: "."}, deployer.CheckFail, "does not match"},
		"within the limit":   {deployer.HTTPProbe{Path: "/long", BodyMatches: "x$"}, deployer.CheckPass, "matches"},
		"beyond the limit":   {deployer.HTTPProbe{Path: "/long", BodyMatches: "end"}, deployer.CheckFail, "does not match"},
		"a body without end": {deployer.HTTPProbe{Path: "/endless", BodyMatches: "ready"}, deployer.CheckPass, "matches"},
		"a body that breaks": {deployer.HTTPProbe{Path: "/broken", BodyMatches: "half$"}, deployer.CheckWait, "broke off"},
		"not compressed":     {deployer.HTTPProbe{Path: "/packed", BodyMatches: "^plain$"}, deployer.CheckPass, "matches"},
		"nobody":             {deployer.HTTPProbe{Port: nobody(t)}, deployer.CheckWait, "refused"},
		"no HTTPS":           {deployer.HTTPProbe{Scheme: "https"}, deployer.CheckFail, "TLS"},
		"no HTTP":            {deployer.HTTPProbe{Port: speaking(t, "220 mail.example.com ESMTP\r\n")}, deployer.CheckFail, "malformed HTTP"},
		"hangs up":           {deployer.HTTPProbe{Port: speaking(t, "")}, deployer.CheckWait, "127.0.0.1"},
		"headers for ever":   {deployer.HTTPProbe{Port: speaking(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 300))}, deployer.CheckFail, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.probe.Port == 0 {
				c.probe.Port = port
			}
			got := probe(t, deployer.Probe{HTTP: &c.probe})
			wantResult(t, got, c.want, c.says)
			if name == "bad" && (len(got.Log) != 1 || got.Log[0] != "the database is away") {
				t.Errorf("the log is %q", got.Log)
			}
		})
	}
}

func TestReasonsHideTheQuery(t *testing.T) {
	t.Parallel()
	got := probe(t, deployer.Probe{HTTP: &deployer.HTTPProbe{Port: nobody(t), Path: "/health?token=hunter2", Headers: map[string]string{"Authorization": "hunter2"}}})
	if strings.Contains(fmt.Sprint(got), "hunter2") || !strings.Contains(got.Reason, "/health") {
		t.Errorf("got %+v", got)
	}
}

func TestTCPProbe(t *testing.T) {
	t.Parallel()
	wantResult(t, probe(t, deployer.Probe{TCP: &deployer.TCPProbe{Port: speaking(t, "")}}), deployer.CheckPass, "accepts")
	wantResult(t, probe(t, deployer.Probe{TCP: &deployer.TCPProbe{Port: nobody(t)}}), deployer.CheckWait, "refused")
}

// TestProbesEnd has somebody who takes connections and never says a word.
func TestProbesEnd(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port := listening(l.Addr())
	for name, p := range map[string]deployer.Probe{
		"http":  {HTTP: &deployer.HTTPProbe{Port: port}},
		"https": {HTTP: &deployer.HTTPProbe{Port: port, Scheme: "https"}},
		"grpc":  {GRPC: &deployer.GRPCProbe{Port: port}},
		"grpcs": {GRPC: &deployer.GRPCProbe{Port: port, Secure: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			got, err := deployer.ProbeFrom(ctx, p, (&net.Dialer{}).DialContext)
			if err != nil {
				t.Fatal(err)
			}
			wantResult(t, got, deployer.CheckWait, "no answer in time")
		})
	}
}

func TestInvalidProbes(t *testing.T) {
	t.Parallel()
	http := func(change func(*deployer.HTTPProbe)) deployer.Probe {
		p := &deployer.HTTPProbe{Port: 80, Scheme: "https"}
		change(p)
		return deployer.Probe{HTTP: p}
	}
	if err := http(func(*deployer.HTTPProbe) {}).Validate(); err != nil {
		t.Fatal(err)
	}
	for says, p := range map[string]deployer.Probe{
		"more than one kind":   {TCP: &deployer.TCPProbe{Port: 1}, Command: &deployer.CommandProbe{Command: "true"}},
		"0 is no port":         {TCP: &deployer.TCPProbe{}},
		"65536 is no port":     {GRPC: &deployer.GRPCProbe{Port: 65536}},
		`"a/b" is no host`:     {TCP: &deployer.TCPProbe{Host: "a/b", Port: 1}},
		"its command is empty": {Command: &deployer.CommandProbe{Command: " "}},
		"its scheme is":        http(func(p *deployer.HTTPProbe) { p.Scheme = "ftp" }),
		"its method":           http(func(p *deployer.HTTPProbe) { p.Method = "GET /" }),
		"the path":             http(func(p *deployer.HTTPProbe) { p.Path = "/%zz" }),
		`the path "/?a b"`:     http(func(p *deployer.HTTPProbe) { p.Path = "/?a b" }),
		"a header called":      http(func(p *deployer.HTTPProbe) { p.Headers = map[string]string{"a b": ""} }),
		"control character":    http(func(p *deployer.HTTPProbe) { p.Headers = map[string]string{"A": "b\r\nC: d"} }),
		"no range of":          http(func(p *deployer.HTTPProbe) { p.Statuses = []deployer.StatusRange{{From: 300, To: 200}} }),
		"missing closing )":    http(func(p *deployer.HTTPProbe) { p.BodyMatches = "(" }),
		"longer than":          http(func(p *deployer.HTTPProbe) { p.BodyMatches = strings.Repeat("a", 5000) }),
		"does not use TLS":     http(func(p *deployer.HTTPProbe) { p.Scheme, p.TLS = "http", &deployer.ProbeTLS{} }),
		"no certificate":       http(func(p *deployer.HTTPProbe) { p.TLS = &deployer.ProbeTLS{CA: "x"} }),
		"no name of a server":  http(func(p *deployer.HTTPProbe) { p.TLS = &deployer.ProbeTLS{ServerName: "*.x"} }),
		"its service":          {GRPC: &deployer.GRPCProbe{Port: 1, Service: "\xff"}},
		"cannot be read": http(func(p *deployer.HTTPProbe) {
			p.TLS = &deployer.ProbeTLS{CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
		}),
	} {
		_, err := deployer.ProbeFrom(t.Context(), p, func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: it dials", says)
			return nil, errors.New("no")
		})
		if deployer.CodeOf(err) != deployer.CodeInvalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", says, err)
		}
		_, err = deployer.Complete(&small{}).Check(t.Context(), deployer.CheckRequest{Instance: deployer.DefaultInstance, Probe: p})
		if deployer.CodeOf(err) != deployer.CodeInvalid {
			t.Errorf("%s: Check gives %v", says, err)
		}
	}
}

func TestCheckFromHere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(app))
	t.Cleanup(server.Close)
	host, port := listening(server.Listener.Addr())
	d := deployer.Complete(&larger{address: net.JoinHostPort(host, "22")})
	check := func(p deployer.Probe) (deployer.CheckResult, error) {
		return d.Check(t.Context(), deployer.CheckRequest{Instance: "one", Probe: p, Timeout: 20 * time.Second})
	}
	for _, p := range []deployer.Probe{{HTTP: &deployer.HTTPProbe{Port: port}}, {TCP: &deployer.TCPProbe{Port: port}}} {
		got, err := check(p)
		if err != nil || got.Status != deployer.CheckPass || !strings.Contains(got.Reason, host) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if got, err := check(deployer.Probe{GRPC: &deployer.GRPCProbe{Port: port}}); err != nil || got.Status != deployer.CheckFail {
		t.Errorf("gRPC of what speaks HTTP/1.1: %+v, %v", got, err)
	}
	if got, err := check(deployer.Probe{}); err != nil || got.Status != deployer.CheckFail {
		t.Errorf("no revision: %+v, %v", got, err)
	}
	if _, err := check(deployer.Probe{Command: &deployer.CommandProbe{Command: "true"}}); deployer.CodeOf(err) != deployer.CodeUnsupported {
		t.Errorf("a command: %v", err)
	}
}
