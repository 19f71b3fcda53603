// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestConnectionLostWhileActivating cuts the connection, or kills the server's
// end of it, at moments of all kinds: the old or the new revision runs whole
// afterwards, and the next Activate has its way.
func TestConnectionLostWhileActivating(t *testing.T) {
	t.Parallel()
	server := newSSHD(t)
	l := newLine(t, fmt.Sprintf("127.0.0.1:%d", server.port), 0)
	connection := server.connection()
	connection["known_hosts"] = strings.Replace(server.known, fmt.Sprintf("[127.0.0.1]:%d", server.port), "*", 1)
	r := server.rig(l.address, connection)
	r.config["service"] = map[string]any{"command": "exec sleep 1000"}
	r.deploy(revision(t, "rev-0", map[string]string{"a": "0"}))
	r.acquire()
	r.prepare(revision(t, "rev-1", map[string]string{"a": "1"}))
	was := "rev-0"
	for n := range 12 {
		next := fmt.Sprint("rev-", (n+1)%2)
		cut := time.AfterFunc(rand.N(80*time.Millisecond), func() {
			if n%2 == 0 {
				l.cut()
				return
			}
			for _, pid := range childrenOf(server.process.Pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		_, err := r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: next}, quiet)
		cut.Stop()
		if err != nil {
			wantError(t, err, deployer.CodeUnreachable)
		}
		eventually(t, "a revision runs", func() bool {
			state, err := r.d.Inspect(t.Context(), deployer.InspectRequest{Target: r.target()})
			if err != nil || state.Instances[0].Unreachable != "" {
				return false
			}
			s := state.Instances[0].Serving()
			if s == nil || s.Revision.ID != was && s.Revision.ID != next {
				t.Fatalf("round %d: serving %+v", n, s)
			}
			return s.Health == deployer.HealthHealthy
		})
		eventually(t, "Activate converges", func() bool {
			_, err := r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: next}, quiet)
			return err == nil
		})
		i := r.instance()
		if i.Serving().Revision.ID != next || len(i.Drift) > 0 || r.file("current/a") != next[len("rev-"):] {
			t.Fatalf("round %d: %+v", n, i)
		}
		was = next
	}
	if n := supervisors(r.path); n != 1 {
		t.Errorf("%d supervisors", n)
	}
}

// TestAgentKilledWhileActivating kills the shell that switches itself.
func TestAgentKilledWhileActivating(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": "exec sleep 1000"}
	r.deploy(revision(t, "rev-0", map[string]string{"a": "0"}))
	r.acquire()
	r.prepare(revision(t, "rev-1", map[string]string{"a": "1"}))
	for n := range 12 {
		next := fmt.Sprint("rev-", (n+1)%2)
		kill := time.AfterFunc(rand.N(60*time.Millisecond), func() {
			pid, _, _ := strings.Cut(readOr(filepath.Join(r.path, metaDir, "run/busy")), " ")
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		})
		_, err := r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: next}, quiet)
		kill.Stop()
		if err != nil {
			wantError(t, err, deployer.CodeUnreachable)
		}
		r.activate(next)
		if got := r.check(next, deployer.Probe{}, 20*time.Second); got.Status != deployer.CheckPass {
			t.Fatalf("round %d: %+v", n, got)
		}
		if i := r.instance(); i.Serving().Revision.ID != next || len(i.Drift) > 0 {
			t.Fatalf("round %d: %+v", n, i)
		}
	}
	if n := supervisors(r.path); n != 1 {
		t.Errorf("%d supervisors", n)
	}
}

func readOr(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// childrenOf lists the processes whose parent is a process.
func childrenOf(parent int) []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text := readOr(path)
		_, rest, _ := strings.Cut(text, ") ")
		pid, _, _ := strings.Cut(text, " ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == itoa(parent) {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// supervisors counts the supervisors of a deployment; each is a session of its
// own.
func supervisors(root string) int {
	n := 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		args := strings.Split(readOr(path), "\x00")
		_, rest, _ := strings.Cut(readOr(filepath.Join(filepath.Dir(path), "stat")), ") ")
		f := strings.Fields(rest)
		if len(args) > 2 && strings.HasPrefix(args[1], root+"/releases/") && strings.HasSuffix(args[1], "/supervise") &&
			len(f) > 3 && f[3] == filepath.Base(filepath.Dir(path)) {
			n++
		}
	}
	return n
}
