// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestDeployUpdateAndRemove(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": `echo "$GREETING from $(cat version)" >../../out; exec sleep 1000`}
	one := revision(t, "rev-1", map[string]string{"version": "1"})
	one.Environment = map[string]string{"GREETING": "it's\n\"me\" \\ $HOME"}
	one.Secrets = map[string]string{"TOKEN": "s3cr3t"}
	r.deploy(one)
	if got := r.check("rev-1", deployer.Probe{}, 5*time.Second); got.Status != deployer.CheckPass {
		t.Fatalf("check: %+v", got)
	}
	eventually(t, "the service writes", func() bool { return r.exists("out") && strings.HasSuffix(r.file("out"), "1\n") })
	if got, want := r.file("out"), "it's\n\"me\" \\ $HOME from 1\n"; got != want {
		t.Errorf("the service wrote %q, want %q", got, want)
	}
	info, err := os.Stat(filepath.Join(r.path, "releases/rev-1/.delivery/environment"))
	r.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("environment file has mode %v", info.Mode())
	}
	i := r.instance()
	if s := i.Serving(); s == nil || s.Revision.ID != "rev-1" || s.Health != deployer.HealthHealthy || s.Revision.ReleaseID != "app:rev-1" || s.Since.IsZero() || len(i.Drift) > 0 || i.Owner != r.owner {
		t.Fatalf("instance: %+v", i)
	}
	first := r.pidOf("child")

	two := revision(t, "rev-2", map[string]string{"version": "2"})
	r.op.ID, r.op.Kind = "op-2", deployer.OperationUpdate
	r.deploy(two)
	eventually(t, "the new service writes", func() bool { return strings.HasSuffix(r.file("out"), " from 2\n") })
	if alivePid(first) {
		t.Error("the old process still runs")
	}
	state := r.inspect()
	i = &state.Instances[0]
	if i.Serving().Revision.ID != "rev-2" || !i.Holds("rev-1") || state.LastGood.ID != "rev-2" || state.Generation != 4 || state.Unfinished != nil {
		t.Fatalf("state: %+v", state)
	}
	r.acquire()
	if result := r.activate("rev-2"); result.Changed {
		t.Error("activating what runs changed something")
	}
	second := r.pidOf("child")
	r.activate("rev-1")
	if alivePid(second) {
		t.Error("rev-2 still runs after going back")
	}
	eventually(t, "the old service writes again", func() bool { return strings.HasSuffix(r.file("out"), " from 1\n") })
	r.must(os.MkdirAll(filepath.Join(r.path, "shared/data"), 0o755))
	third, supervisor := r.pidOf("child"), r.pidOf("supervisor")
	r.must(os.Remove(filepath.Join(r.path, "out")))
	_, err = r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	r.must(err)
	if alivePid(third) || alivePid(supervisor) {
		t.Error("something still runs after remove")
	}
	if _, err := os.Stat(r.path); !os.IsNotExist(err) {
		left, _ := exec.Command("find", r.path).Output()
		t.Errorf("%s is still there: %v\n%s", r.path, err, left)
	}
	r.release()
	if i := r.instance(); len(i.Slots) > 0 || i.Owner != "" || len(i.Drift) > 0 {
		t.Errorf("after remove: %+v", i)
	}
}

func alivePid(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
