// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestRoundTrips holds a first deployment with a health check to the number of
// round trips that it needs, over a line on which each takes 100 ms.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	const trip = 100 * time.Millisecond
	server := newSSHD(t)
	l := newLine(t, fmt.Sprintf("127.0.0.1:%d", server.port), trip)
	connection := server.connection()
	connection["known_hosts"] = strings.Replace(server.known, fmt.Sprintf("[127.0.0.1]:%d", server.port), "[127.0.0.1]:*,127.0.0.1", 1)
	r := server.rig(l.address, connection)
	port := freePort(t)
	r.config["service"] = map[string]any{"command": fmt.Sprintf("exec python3 -m http.server --bind 127.0.0.1 %d", port)}
	rev := revision(t, "rev-1", map[string]string{"index.html": "hello"})

	r.must(deployerWarm(r)) // dialling is not what is counted
	var took []string
	begun := time.Now()
	lap := func(what string, most float64) {
		trips := float64(time.Since(begun)) / float64(trip)
		took = append(took, fmt.Sprintf("%s %.1f", what, trips))
		if trips > most {
			t.Logf("%s took %.1f round trips, more than %.1f", what, trips, most)
		}
		begun = time.Now()
	}
	r.acquire()
	lap("acquire", 2)
	r.inspect()
	lap("inspect", 2)
	r.record(deployer.PhaseBegin, rev.RevisionInfo, "")
	lap("record", 2)
	r.prepare(rev)
	lap("prepare", 2)
	r.activate("rev-1")
	lap("activate", 2)
	probe := deployer.Probe{HTTP: &deployer.HTTPProbe{Port: port, Path: "/"}}
	if got := r.check("rev-1", probe, 30*time.Second); got.Status != deployer.CheckPass {
		t.Fatalf("check: %+v", got)
	}
	lap("check", 8)
	r.record(deployer.PhaseEnd, rev.RevisionInfo, deployer.OutcomeSucceeded)
	lap("record", 2)
	_, err := r.d.Prune(t.Context(), deployer.PruneRequest{Target: r.target(), Owner: r.owner, Token: r.token, Keep: 5})
	r.must(err)
	lap("prune", 2)
	r.release()
	lap("release", 2)
	t.Log(strings.Join(took, ", "))
}

func deployerWarm(r *rig) error {
	s, err := r.d.site(r.target(), r.id)
	if err != nil {
		return err
	}
	return s.machine.warm(r.t.Context())
}
