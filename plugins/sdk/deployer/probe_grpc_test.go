// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var silent = log.New(io.Discard, "", 0)

// grpcServer is a real one, and where it listens.
func grpcServer(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	if register != nil {
		register(server)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	_, port := listening(l.Addr())
	return port
}

func healthy(server *grpc.Server) {
	h := health.NewServer()
	h.SetServingStatus("api", grpc_health_v1.HealthCheckResponse_SERVING)
	h.SetServingStatus("worker", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	h.SetServingStatus("new", grpc_health_v1.HealthCheckResponse_UNKNOWN)
	grpc_health_v1.RegisterHealthServer(server, h)
}

// refusing is a health service that fails.
type refusing struct {
	grpc_health_v1.UnimplementedHealthServer
	err error
}

func (r refusing) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return nil, r.err
}

func failing(code codes.Code, message string) func(*grpc.Server) {
	return func(server *grpc.Server) {
		grpc_health_v1.RegisterHealthServer(server, refusing{err: status.Error(code, message)})
	}
}

func TestGRPCProbe(t *testing.T) {
	t.Parallel()
	port := grpcServer(t, healthy)
	web := httptest.NewServer(http.HandlerFunc(app))
	t.Cleanup(web.Close)
	_, webPort := listening(web.Listener.Addr())
	for name, c := range map[string]struct {
		probe deployer.GRPCProbe
		want  deployer.CheckStatus
		says  string
	}{
		"server":         {deployer.GRPCProbe{Port: port}, deployer.CheckPass, ": SERVING"},
		"service":        {deployer.GRPCProbe{Port: port, Service: "api"}, deployer.CheckPass, `"api" at 127.0.0.1`},
		"not serving":    {deployer.GRPCProbe{Port: port, Service: "worker"}, deployer.CheckFail, "NOT_SERVING"},
		"unknown":        {deployer.GRPCProbe{Port: port, Service: "new"}, deployer.CheckFail, "UNKNOWN"},
		"no service":     {deployer.GRPCProbe{Port: port, Service: strings.Repeat("x", 1000)}, deployer.CheckFail, "does not know the service"},
		"no health":      {deployer.GRPCProbe{Port: grpcServer(t, nil)}, deployer.CheckFail, "has no health service"},
		"unavailable":    {deployer.GRPCProbe{Port: grpcServer(t, failing(codes.Unavailable, "the döner is 100% out"))}, deployer.CheckFail, "UNAVAILABLE: the döner is 100% out"},
		"refused":        {deployer.GRPCProbe{Port: grpcServer(t, failing(codes.PermissionDenied, "no"))}, deployer.CheckFail, "PERMISSION_DENIED: no"},
		"nobody":         {deployer.GRPCProbe{Port: nobody(t)}, deployer.CheckWait, "refused"},
		"hangs up":       {deployer.GRPCProbe{Port: speaking(t, "")}, deployer.CheckWait, "gRPC health"},
		"HTTP/1.1":       {deployer.GRPCProbe{Port: webPort}, deployer.CheckFail, "does not speak gRPC as asked (HTTP/2 without TLS)"},
		"something else": {deployer.GRPCProbe{Port: speaking(t, "220 mail.example.com ESMTP, and more than nine bytes\r\n")}, deployer.CheckFail, "does not speak gRPC"},
		"no TLS there":   {deployer.GRPCProbe{Port: port, Secure: true}, deployer.CheckFail, "HTTP/2 over TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantResult(t, probe(t, deployer.Probe{GRPC: &c.probe}), c.want, c.says)
		})
	}
}

func TestGRPCProbeOverTLS(t *testing.T) {
	t.Parallel()
	for name, c := range tlsCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := grpcServer(t, healthy, grpc.Creds(credentials.NewServerTLSFromCert(&c.shows)))
			got := probe(t, deployer.Probe{GRPC: &deployer.GRPCProbe{Port: port, Secure: true, TLS: c.tls}})
			wantResult(t, got, c.want, append(c.says, "gRPC health of 127.0.0.1")...)
		})
	}
	cert := newAuthority(t, "CA").certificate(time.Now().Add(time.Hour), "a")
	port := grpcServer(t, healthy, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	got := probe(t, deployer.Probe{GRPC: &deployer.GRPCProbe{Port: port}})
	if got.Status == deployer.CheckPass {
		t.Errorf("TLS was not asked for: %+v", got)
	}
}

// TestGRPCProbeOfRudeServers has servers that speak HTTP/2 and no gRPC, or a
// gRPC of their own.
func TestGRPCProbeOfRudeServers(t *testing.T) {
	t.Parallel()
	const serving = "\x00\x00\x00\x00\x02\x08\x01"
	for name, c := range map[string]struct {
		contentType, body, status, message string
		want                               deployer.CheckStatus
		says                               string
	}{
		"good":          {"application/grpc+proto", serving, "0", "", deployer.CheckPass, "SERVING"},
		"a page":        {"text/html", "<p>hello", "", "", deployer.CheckFail, "no gRPC server: HTTP/2.0 200 OK"},
		"no status":     {"application/grpc", serving, "", "", deployer.CheckFail, "no status of gRPC"},
		"an odd status": {"application/grpc", serving, "zero", "", deployer.CheckFail, `the code "zero"`},
		"no message":    {"application/grpc", "", "0", "", deployer.CheckFail, "shorter than a message"},
		"compressed":    {"application/grpc", "\x01" + serving[1:], "0", "", deployer.CheckFail, "compressed"},
		"two messages":  {"application/grpc", serving + serving, "0", "", deployer.CheckFail, "not one whole message"},
		"cut off":       {"application/grpc", serving[:6], "0", "", deployer.CheckFail, "not one whole message"},
		"later fields":  {"application/grpc", "\x00\x00\x00\x00\x06\x1a\x02ab\x08\x01", "0", "", deployer.CheckPass, "SERVING"},
		"later status":  {"application/grpc", "\x00\x00\x00\x00\x02\x08\x09", "0", "", deployer.CheckFail, "status 9"},
		"no protobuf":   {"application/grpc", "\x00\x00\x00\x00\x02\x0f\x01", "0", "", deployer.CheckFail, "no message of protobuf"},
		"much":          {"application/grpc", strings.Repeat("x", 1<<20), "0", "", deployer.CheckFail, ""},
		"a bad message": {"application/grpc", "", "13", "100%zz \xff", deployer.CheckFail, "INTERNAL: 100%zz ?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/grpc.health.v1.Health/Check" || r.Method != http.MethodPost || r.Header.Get("Te") != "trailers" {
					t.Errorf("it asks %s %s %v", r.Method, r.URL, r.Header)
				}
				w.Header().Set("Content-Type", c.contentType)
				w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
				_, _ = io.WriteString(w, c.body)
				if c.status != "" {
					w.Header().Set("Grpc-Status", c.status)
					w.Header().Set("Grpc-Message", c.message)
				}
			}))
			server.Config.ErrorLog = silent
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(server.Close)
			_, port := listening(server.Listener.Addr())
			got := probe(t, deployer.Probe{GRPC: &deployer.GRPCProbe{Port: port}})
			wantResult(t, got, c.want, c.says)
			if name == "a page" && (len(got.Log) != 1 || got.Log[0] != "<p>hello") {
				t.Errorf("the log is %q", got.Log)
			}
		})
	}
}

// TestGRPCProbeOfHTTP1OverTLS has a server that does not take HTTP/2, whether it
// says so in the handshake or not.
func TestGRPCProbeOfHTTP1OverTLS(t *testing.T) {
	t.Parallel()
	for name, protocols := range map[string][]string{"says so": {"http/1.1"}, "says nothing": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert := newAuthority(t, "CA").certificate(time.Now().Add(time.Hour), "a")
			config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols, MinVersion: tls.VersionTLS12}
			l, err := tls.Listen("tcp", "127.0.0.1:0", config)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(app), ErrorLog: silent, ReadHeaderTimeout: time.Minute}
			go func() { _ = server.Serve(l) }()
			t.Cleanup(func() { _ = server.Close() })
			_, port := listening(l.Addr())
			got := probe(t, deployer.Probe{GRPC: &deployer.GRPCProbe{Port: port, Secure: true}})
			wantResult(t, got, deployer.CheckFail, "gRPC")
		})
	}
}
