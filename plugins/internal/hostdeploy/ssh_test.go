// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestRoundTrips holds a first deployment with a health check to the number of
// round trips that it needs.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	const trip = 20 * time.Millisecond
	server := newSSHD(t)
	l := newLine(t, fmt.Sprintf("127.0.0.1:%d", server.port), trip)
	connection := server.connection()
	connection["known_hosts"] = strings.Replace(server.known, fmt.Sprintf("[127.0.0.1]:%d", server.port), "[127.0.0.1]:*,127.0.0.1", 1)
	r := server.rig(l.address, connection)
	port := freePort(t)
	r.config["service"] = map[string]any{"command": fmt.Sprintf("exec python3 -m http.server --bind 127.0.0.1 %d", port)}
	rev := revision(t, "rev-1", map[string]string{"index.html": "hello"})

	r.must(deployerWarm(r)) // dialling is not what is counted
	r.inspect()             // and so the agent has greeted
	var took []string
	before := l.turns.Load()
	lap := func(what string, most int64) {
		t.Helper()
		now := l.turns.Load()
		took = append(took, fmt.Sprintf("%s %d", what, now-before))
		if now-before > most {
			t.Errorf("%s took %d round trips, more than %d", what, now-before, most)
		}
		before = now
	}
	r.acquire() // and look
	lap("acquire", 1)
	r.record(deployer.PhaseBegin, rev.RevisionInfo, "")
	lap("record", 1)
	r.prepare(rev)
	lap("prepare", 1)
	r.activate("rev-1")
	lap("activate", 1)
	probe := deployer.Probe{HTTP: &deployer.HTTPProbe{Port: port, Path: "/"}}
	if got := r.check("rev-1", probe, 30*time.Second); got.Status != deployer.CheckPass {
		t.Fatalf("check: %+v", got)
	}
	lap("check", 2+2*12) // each attempt is two; the service takes its time to start
	r.record(deployer.PhaseEnd, rev.RevisionInfo, deployer.OutcomeSucceeded)
	lap("record", 1)
	_, err := r.d.Prune(t.Context(), deployer.PruneRequest{Target: r.target(), Owner: r.owner, Token: r.token, Keep: 5})
	r.must(err)
	lap("prune", 1)
	r.release()
	lap("release", 1)
	t.Log(strings.Join(took, ", "))
}

func deployerWarm(r *rig) error {
	s, err := r.d.site(r.target(), r.id)
	if err != nil {
		return err
	}
	return s.machine.warm(r.t.Context())
}

func TestOverSSH(t *testing.T) {
	t.Parallel()
	server := newSSHD(t)
	r := server.rig("", nil)
	r.config["service"] = map[string]any{"command": "echo $SECRET; exec sleep 1000"}
	rev := revision(t, "rev-1", map[string]string{"größe/a*": "x"})
	rev.Secrets = map[string]string{"SECRET": "hidden-value"}
	r.deploy(rev)
	if got := r.check("rev-1", deployer.Probe{TCP: &deployer.TCPProbe{Port: server.port}}, 10*time.Second); got.Status != deployer.CheckPass {
		t.Errorf("check: %+v", got)
	}
	if got := r.check("rev-1", deployer.Probe{TCP: &deployer.TCPProbe{Port: 1}}, 0); got.Status != deployer.CheckWait {
		t.Errorf("check of nobody: %+v", got)
	}
	if i := r.instance(); i.Place != fmt.Sprintf("127.0.0.1:%d:%s", server.port, r.path) || i.Address != fmt.Sprintf("127.0.0.1:%d", server.port) {
		t.Errorf("instance: %+v", i)
	}
	if !strings.Contains(r.file("releases/rev-1/größe/a"), "x") {
		t.Error("the release is not whole")
	}
}

// TestTwoSessions works on a server that grants two sessions, while an install
// command holds one of them.
func TestTwoSessions(t *testing.T) {
	t.Parallel()
	server := newSSHD(t, "MaxSessions 2")
	r := server.rig("", nil)
	r.config["install"] = []string{"until test -e ../../go; do sleep 0.05; done"}
	r.acquire()
	done := make(chan error, 1)
	started := make(chan struct{}, 8)
	go func() {
		_, err := r.d.Prepare(t.Context(), deployer.PrepareRequest{Mutation: r.mutation(), Revision: revision(t, "rev-1", map[string]string{"a": "b"})}, func(e deployer.Event) {
			if e.Phase == "install" {
				started <- struct{}{}
			}
		})
		done <- err
	}()
	<-started
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			r.inspect()
			r.must(r.d.Renew(t.Context(), deployer.RenewRequest{Target: r.target(), Token: r.token, Lease: time.Minute}))
		})
	}
	wg.Wait()
	r.must(os.WriteFile(filepath.Join(r.path, "go"), nil, 0o600))
	r.must(<-done)
}

func TestNoShell(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]string{"sftp only": "ForceCommand internal-sftp", "refusal": "ForceCommand echo This account is not available.; exit 1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSSHD(t, option).rig("", nil)
			_, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
			if e := deployer.AsError(err); e == nil || e.Instance != "app-1" || !strings.Contains(e.Message, "shell") {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// TestLargeUpload divides a large release over several channels of a slow line,
// and keeps little of it in memory.
func TestLargeUpload(t *testing.T) {
	t.Parallel()
	server := newSSHD(t)
	l := newLine(t, fmt.Sprintf("127.0.0.1:%d", server.port), 30*time.Millisecond)
	connection := server.connection()
	connection["known_hosts"] = strings.Replace(server.known, fmt.Sprintf("[127.0.0.1]:%d", server.port), "*", 1)
	r := server.rig(l.address, connection)
	files := map[string]string{}
	for n := range 40 {
		files[fmt.Sprintf("data/%d", n)] = strings.Repeat(fmt.Sprintf("%08d", n), 100<<10)
	}
	rev := revision(t, "rev-1", files)
	r.acquire()
	r.prepare(rev)
	for name, text := range files {
		if r.file("releases/rev-1/"+name) != text {
			t.Errorf("%s was spoiled", name)
		}
	}
	for n := range manyChannels {
		if !r.exists(fmt.Sprintf("releases/rev-1/.delivery/part-%d", n+1)) {
			t.Errorf("there is no part %d", n+1)
		}
	}
	spooled, err := filepath.Glob(filepath.Join(r.d.directory, "artifact-*"))
	if err != nil || len(spooled) != 1 {
		t.Errorf("spooled: %v %v", spooled, err)
	}
}

func TestLostWhileUploading(t *testing.T) {
	t.Parallel()
	server := newSSHD(t)
	l := newLine(t, fmt.Sprintf("127.0.0.1:%d", server.port), 20*time.Millisecond)
	connection := server.connection()
	connection["known_hosts"] = strings.Replace(server.known, fmt.Sprintf("[127.0.0.1]:%d", server.port), "*", 1)
	r := server.rig(l.address, connection)
	rev := revision(t, "rev-1", map[string]string{"big": strings.Repeat("0123456789abcdef", 1<<20)})
	r.acquire()
	before := l.bytes.Load()
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for l.bytes.Load() < before+4<<20 && t.Context().Err() == nil {
			<-tick.C
		}
		l.cut()
	}()
	_, err := r.d.Prepare(t.Context(), deployer.PrepareRequest{Mutation: r.mutation(), Revision: rev}, quiet)
	wantError(t, err, deployer.CodeUnreachable)
	eventually(t, "nothing of it is left", func() bool { return len(releasesIn(r.path)) == 0 })
	r.prepare(rev)
	if !r.instance().Holds("rev-1") {
		t.Error("it is not there after the second try")
	}
}

func releasesIn(root string) []string {
	entries, _ := os.ReadDir(filepath.Join(root, "releases"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
