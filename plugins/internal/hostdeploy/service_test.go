// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestServiceThatDiesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": "echo cannot open $DB_URL; exit 3"}
	rev := revision(t, "rev-1", map[string]string{"a": "b"})
	rev.Secrets = map[string]string{"DB_URL": "postgres://user:pw@db"}
	r.acquire()
	r.prepare(rev)
	r.activate("rev-1")
	got := r.check("rev-1", deployer.Probe{TCP: &deployer.TCPProbe{Port: 1}}, 20*time.Second)
	if got.Status != deployer.CheckDead || !strings.Contains(got.Reason, "exited with status 3") || !strings.Contains(strings.Join(got.Log, "\n"), "cannot open (sensitive)") {
		t.Errorf("check: %+v", got)
	}
	if s := r.instance().Serving(); s == nil || s.Health != deployer.HealthFailing {
		t.Errorf("serving: %+v", s)
	}
	r.config["service"] = map[string]any{"command": "exec sleep 1000"}
	r.prepare(revision(t, "rev-2", map[string]string{"a": "b"}))
	r.activate("rev-2")
	if got := r.check("rev-2", deployer.Probe{}, 10*time.Second); got.Status != deployer.CheckPass {
		t.Errorf("check of rev-2: %+v", got)
	}
}

func TestStubbornServiceIsKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": `trap '' TERM; (trap '' TERM; sleep 1000 & wait; while :; do sleep 1; done) & while :; do sleep 1; done`, "stop_timeout": "1s"}
	r.acquire()
	r.prepare(revision(t, "rev-1", map[string]string{"a": "b"}))
	r.activate("rev-1")
	leader := r.pidOf("child")
	r.config["service"] = nil
	delete(r.config, "service")
	r.prepare(revision(t, "rev-2", map[string]string{"a": "b"}))
	r.activate("rev-2")
	if err := syscall.Kill(-leader, 0); err == nil && groupLives(leader) {
		t.Error("something of the old service still runs")
	}
	if i := r.instance(); i.Serving().Revision.ID != "rev-2" || len(i.Drift) > 0 {
		t.Errorf("instance: %+v", i)
	}
}

func groupLives(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 2 && f[2] == itoa(group) && f[0] != "Z" {
			return true
		}
	}
	return false
}

func TestInterruptReachesTheService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": `trap 'echo bye >../../bye; exit 0' INT; while :; do sleep 0.1; done`, "stop_signal": "SIGINT"}
	r.acquire()
	r.prepare(revision(t, "rev-1", map[string]string{"a": "b"}))
	r.activate("rev-1")
	eventually(t, "the service is up", func() bool { return r.instance().Serving().Health == deployer.HealthHealthy })
	_, err := r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	r.must(err)
	if got := r.file("bye"); got != "bye\n" {
		t.Errorf("the service said %q", got)
	}
}

func TestDriftIsSeenAndRepaired(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": "exec sleep 1000"}
	r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
	r.op.ID = "op-2"
	two := revision(t, "rev-2", map[string]string{"a": "2"})
	r.deploy(two)
	drift := func(what string) *deployer.Instance {
		t.Helper()
		i := r.instance()
		for _, d := range i.Drift {
			if d.What == what {
				return i
			}
		}
		t.Fatalf("no drift of %q: %+v", what, i)
		return i
	}
	repaired := func() {
		t.Helper()
		r.acquire()
		r.activate("rev-2")
		r.release()
		if i := r.instance(); len(i.Drift) > 0 || i.Serving().Revision.ID != "rev-2" || i.Serving().Health != deployer.HealthHealthy {
			t.Fatalf("after repair: %+v", i)
		}
	}
	current := filepath.Join(r.path, "current")
	r.must(os.Remove(current))
	if i := drift("current"); i.Serving().Revision.ID != "rev-2" {
		t.Errorf("what runs: %+v", i)
	}
	repaired()
	r.must(os.Remove(current))
	r.must(os.Symlink("releases/rev-1", current))
	if i := drift("current"); i.Serving().Revision.ID != "rev-2" || i.Drift[0].Actual != "releases/rev-1" {
		t.Errorf("what runs: %+v", i)
	}
	repaired()
	for _, who := range []string{"supervisor", "child"} {
		r.must(syscall.Kill(-r.pidOf(who), syscall.SIGKILL))
	}
	eventually(t, "it is seen to be stopped", func() bool { return r.instance().Serving().Health == deployer.HealthStopped })
	drift("service")
	repaired()
	r.must(syscall.Kill(r.pidOf("supervisor"), syscall.SIGKILL))
	eventually(t, "it is seen to be without supervisor", func() bool { return len(r.instance().Drift) > 0 })
	drift("service")
	repaired()
	r.must(os.RemoveAll(filepath.Join(r.path, "releases/rev-2")))
	if i := drift("release"); !i.Serving().Incomplete || i.Serving().Health != deployer.HealthMissing || i.Holds("rev-2") || i.Serving().Revision.ReleaseID != "app:rev-2" {
		t.Errorf("instance: %+v", i)
	}
	r.acquire()
	r.prepare(two)
	r.release()
	repaired()
}

func TestCommandsService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"commands": map[string]any{
		"start":  `sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >../../pid`,
		"stop":   `kill $(cat ../../pid)`,
		"status": `kill -0 $(cat ../../pid)`,
	}}
	r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
	if got := r.check("rev-1", deployer.Probe{}, 0); got.Status != deployer.CheckPass {
		t.Errorf("check: %+v", got)
	}
	pid := 0
	_, err := fmt.Sscan(r.file("pid"), &pid)
	r.must(err)
	if !alivePid(pid) {
		t.Fatal("what the start command left was ended")
	}
	r.op.ID = "op-2"
	r.config["service"].(map[string]any)["commands"].(map[string]any)["start"] = "echo no such thing; exit 4"
	r.acquire()
	r.prepare(revision(t, "rev-2", map[string]string{"a": "2"}))
	_, err = r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: "rev-2"}, quiet)
	wantError(t, err, deployer.CodeFailed, "start command", "status 4", "no such thing")
	eventually(t, "the old one was stopped", func() bool { return !alivePid(pid) })
	r.activate("rev-1")
	if s := r.instance().Serving(); s.Revision.ID != "rev-1" || s.Health != deployer.HealthHealthy {
		t.Errorf("serving: %+v", s)
	}
	_, err = r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	r.must(err)
	_ = os.Remove(filepath.Join(r.path, "pid"))
}
