// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// promptly is how soon an interrupted command must have ended.
const promptly = 30 * time.Second

// alive says whether a process runs; one that ended and was not reaped does not.
func alive(pid string) bool {
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

// Ctrl-C while a stage runs: the stage's processes end, also those that it put
// into the background, there is no release, no host was touched, and the next
// apply goes through.
func TestCtrlCDuringAStage(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	pids := filepath.Join(t.TempDir(), "pids")
	good := s.Stage
	s.Stage = fmt.Sprintf(`["sleep 3600 & echo $$ $! > %[1]s.new && mv %[1]s.new %[1]s; sleep 3601"]`, pids)
	s.write()
	process := s.tf.StartApply()
	waitFor(t, func() bool { _, err := os.Stat(pids); return err == nil })
	began := time.Now()
	process.Interrupt()
	out := process.Wait()
	if out.Err == nil {
		t.Fatal("the interrupted apply says that it succeeded")
	}
	if took := time.Since(began); took > promptly {
		t.Errorf("it took %s to end", took)
	}
	out.MustSay(t, "cancelled", "delivery_release.shop")
	content, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(content)) {
		if alive(pid) {
			t.Errorf("process %s of the stage is still there", pid)
		}
	}
	if s.tf.Has("delivery_release.shop") || s.tf.Has("delivery_deployment.api") {
		t.Error("the state has what was not made")
	}
	if left := files(t, filepath.Join(s.tf.Dir, ".delivery", "store")); strings.Contains(left, "/blobs/") {
		t.Errorf("the store has something of the release:\n%s", left)
	}
	if left := strings.TrimSpace(s.fleet.Hosts[0].Exec(t, "ls -A /srv")); left != "" {
		t.Errorf("the host has %s", left)
	}
	s.Stage = good
	s.write()
	s.tf.Apply()
	s.answers("v1")
	s.tf.NoChanges()
}

// Ctrl-C during the first deployment: what was placed is taken off again, on
// every host, there is no state, and the next apply goes through.
func TestCtrlCDuringTheFirstDeployment(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Rolling = `min_healthy_time = "5m"`
	s.Health = strings.Replace(healthCheck, "20s", "10m", 1)
	s.write()
	process := s.tf.StartApply()
	waitFor(t, func() bool { return s.answer(s.fleet.Hosts[0]) == "v1" })
	began := time.Now()
	process.Interrupt()
	out := process.Wait()
	if out.Err == nil {
		t.Fatal("the interrupted apply says that it succeeded")
	}
	if took := time.Since(began); took > promptly {
		t.Errorf("it took %s to end", took)
	}
	out.MustSay(t, "cancelled", "delivery_deployment.api", "nothing of it is left")
	s.answers("")
	for _, h := range s.fleet.Hosts {
		if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "" {
			t.Errorf("%s still has %s", h.Name, left)
		}
	}
	if s.tf.Has("delivery_deployment.api") {
		t.Error("the deployment is in the state")
	}
	s.Rolling, s.Health = "", healthCheck
	s.write()
	s.tf.Apply()
	s.answers("v1")
	s.tf.NoChanges()
}
