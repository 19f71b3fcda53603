// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// instance answers health checks: HTTPS, and gRPC with and without TLS.
type instance struct {
	https, grpc, grpcs int // ports
	ca                 string
}

func newInstance(t *testing.T) instance {
	t.Helper()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"ready": true, "method": "`+r.Method+`"}`)
	}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	certificate := web.TLS.Certificates[0]
	i := instance{
		https: portOf(web.Listener), ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})),
	}
	for port, options := range map[*int][]grpc.ServerOption{
		&i.grpc:  nil,
		&i.grpcs: {grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(options...)
		state := health.NewServer()
		state.SetServingStatus("away", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		grpc_health_v1.RegisterHealthServer(server, state)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(l)
		}()
		t.Cleanup(func() {
			server.Stop()
			<-done
		})
		*port = portOf(l)
	}
	return i
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// TestProbesThroughTheConnection makes every kind of probe as the host sees the
// instance.
func TestProbesThroughTheConnection(t *testing.T) {
	t.Parallel()
	app := newInstance(t)
	trusted := &deployer.ProbeTLS{ServerName: "example.com", CA: app.ca}
	wrong := &deployer.ProbeTLS{ServerName: "app.internal", CA: app.ca}
	for name, r := range map[string]*rig{"local": newRig(t), "ssh": newSSHD(t).rig("", nil)} {
		r.config["service"] = map[string]any{"command": "exec sleep 1000"}
		r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
		if got := r.check("rev-1", deployer.Probe{}, 20*time.Second); got.Status != deployer.CheckPass {
			t.Fatalf("%s: %+v", name, got)
		}
		for probing, c := range map[string]struct {
			probe deployer.Probe
			want  deployer.CheckStatus
			says  string
		}{
			"https":        {deployer.Probe{HTTP: &deployer.HTTPProbe{Scheme: "https", Port: app.https, Method: "POST", TLS: trusted, BodyMatches: `"ready": true, "method": "POST"`}}, deployer.CheckPass, "200 OK"},
			"its status":   {deployer.Probe{HTTP: &deployer.HTTPProbe{Scheme: "https", Port: app.https, Statuses: []deployer.StatusRange{{From: 204, To: 204}}}}, deployer.CheckFail, "and not 204"},
			"its name":     {deployer.Probe{HTTP: &deployer.HTTPProbe{Scheme: "https", Port: app.https, TLS: wrong}}, deployer.CheckFail, `"app.internal"`},
			"grpc":         {deployer.Probe{GRPC: &deployer.GRPCProbe{Port: app.grpc}}, deployer.CheckPass, "SERVING"},
			"grpc service": {deployer.Probe{GRPC: &deployer.GRPCProbe{Port: app.grpc, Service: "away"}}, deployer.CheckFail, "NOT_SERVING"},
			"grpcs":        {deployer.Probe{GRPC: &deployer.GRPCProbe{Port: app.grpcs, Secure: true, TLS: trusted}}, deployer.CheckPass, "SERVING"},
			"grpcs name":   {deployer.Probe{GRPC: &deployer.GRPCProbe{Port: app.grpcs, Secure: true, TLS: wrong}}, deployer.CheckFail, `"app.internal"`},
			"nobody":       {deployer.Probe{GRPC: &deployer.GRPCProbe{Port: 1}}, deployer.CheckWait, "127.0.0.1:1"},
		} {
			got := r.check("rev-1", c.probe, 0)
			if got.Status != c.want || !strings.Contains(got.Reason, c.says) {
				t.Errorf("%s, %s: %+v", name, probing, got)
			}
		}
	}
}

func TestWrongProbes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.d.Check(t.Context(), deployer.CheckRequest{
		Target: r.target(), Instance: r.id, RevisionID: "rev-1",
		Probe: deployer.Probe{HTTP: &deployer.HTTPProbe{Port: 80, BodyMatches: "["}},
	})
	wantError(t, err, deployer.CodeInvalid, "the pattern of the body", "missing closing ]")
}
