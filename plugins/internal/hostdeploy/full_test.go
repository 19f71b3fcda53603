// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// say lets the machine's agent read a line of shell.
func (r *rig) say(line string) {
	r.t.Helper()
	s, err := r.d.site(r.target(), r.id)
	r.must(err)
	_, err = s.machine.tell(r.t.Context(), call{line: line})
	r.must(err)
}

const (
	full    = `put() { echo 'No space left on device'; return 1; }`
	notFull = `put() { printf '%s\n' "$2" >"$1.$$" && mv -f "$1.$$" "$1"; }`
)

// TestAFullDiskIsNoticedBeforeTheSwitch leaves the old revision running.
func TestAFullDiskIsNoticedBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	for kind, service := range map[string]map[string]any{
		"supervised": {"command": "exec sleep 1000"},
		"commands":   {"commands": map[string]any{"start": "touch ../../up", "stop": "rm ../../up", "status": "test -e ../../up"}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.config["service"] = service
			r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
			r.acquire()
			r.prepare(revision(t, "rev-2", map[string]string{"a": "2"}))
			r.say(full)
			_, err := r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: "rev-2"}, quiet)
			wantError(t, err, deployer.CodeFailed, "cannot write in "+r.path)
			i := r.instance()
			if s := i.Serving(); s.Revision.ID != "rev-1" || s.Health != deployer.HealthHealthy || len(i.Drift) > 0 || r.file("current/a") != "1" {
				t.Errorf("instance: %+v", i)
			}
			r.say(notFull)
			r.activate("rev-2")
		})
	}
}

// TestAFullDiskIsNoSuccess finds writes that would be believed to have worked.
func TestAFullDiskIsNoSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	r.acquire()
	r.say(full)
	entry := deployer.Entry{Schema: 1, Phase: deployer.PhaseEnd, Outcome: deployer.OutcomeSucceeded, Operation: r.op, Owner: r.owner, Generation: 1, To: rev.RevisionInfo}
	record := func() error {
		return r.d.Record(t.Context(), deployer.RecordRequest{Target: r.target(), Token: r.token, Entry: entry})
	}
	wantError(t, record(), deployer.CodeFailed, "cannot write", "last_good")
	entry.Phase, entry.Outcome, entry.Generation = deployer.PhaseBegin, "", 2
	wantError(t, record(), deployer.CodeFailed, "cannot write", "owner")
	wantError(t, r.d.Renew(t.Context(), deployer.RenewRequest{Target: r.target(), Token: r.token, Lease: time.Minute}), deployer.CodeFailed, "cannot write")
	r.config["install"] = []string{"rm -r .delivery"}
	e := r.prepareRaw(deployer.CodeFailed, rev)
	if !strings.Contains(e.Message, "cannot write") || r.exists("releases/rev-1") {
		t.Errorf("%v\n%s", e, listing(t, r.path))
	}
}

// TestNoServiceRunsUnknown fills the disk for what starts the service: a process
// that could not say who it is would never be stopped.
func TestNoServiceRunsUnknown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"supervise", "start"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.config["service"] = map[string]any{"command": "touch ../../ran; exec sleep 1000"}
			r.acquire()
			r.prepare(revision(t, "rev-1", map[string]string{"a": "1"}))
			path := filepath.Join(r.path, "releases/rev-1/.delivery", name)
			text, err := os.ReadFile(path)
			r.must(err)
			r.must(os.WriteFile(path, []byte(strings.Replace(string(text), `mv -f "$1.$$" "$1"`, "false", 1)), 0o755))
			_, err = r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: "rev-1"}, quiet)
			if name == "supervise" {
				wantError(t, err, deployer.CodeFailed, "did not start")
			} else if got := r.check("rev-1", deployer.Probe{}, 0); got.Status == deployer.CheckPass {
				t.Errorf("check: %+v", got)
			}
			if r.exists("ran") || supervisors(r.path) > 0 && name == "supervise" {
				t.Error("the service was started")
			}
			r.remove()
		})
	}
}
