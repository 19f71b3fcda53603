// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// waitFor returns when what is asked is so.
func waitFor(t testing.TB, so func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatal("waited for a minute in vain")
		}
	}
}

// slowUpdate begins an update of three hosts, one at a time, which stays on
// each host for some seconds, and returns when the first one runs v2.
func slowUpdate(t *testing.T, deployment string) (*shop, *testrig.Process) {
	s := newShop(t, 3)
	s.Deployment = deployment
	s.write()
	s.tf.Apply()
	s.Rolling = `min_healthy_time = "3s"`
	s.write()
	s.commit("v2")
	process := s.tf.StartApply()
	waitFor(t, func() bool { return s.answer(s.fleet.Hosts[0]) == "v2" })
	return s, process
}

// Ctrl-C in the middle: the rollout stops at a safe point, the state says what
// runs where, and the next apply finishes the job.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	s, process := slowUpdate(t, "")
	process.Interrupt()
	out := process.Wait()
	if out.Err == nil {
		t.Fatal("the interrupted apply says that it succeeded")
	}
	out.MustSay(t, "cancelled")
	values := s.deployment()
	for _, h := range s.fleet.Hosts {
		got := s.answer(h)
		if got != "v1" && got != "v2" {
			t.Errorf("%s answers %q", h.Name, got)
		}
		new := strings.Contains(fmt.Sprint(instance(values, h.Name)["release"]), s.repo.Head()[:12])
		if new != (got == "v2") {
			t.Errorf("%s answers %s, and the state says %v", h.Name, got, instance(values, h.Name))
		}
	}
	s.tf.Apply()
	s.answers("v2")
	s.tf.NoChanges()
}

// With on_cancel, Ctrl-C puts the old version back.
func TestCtrlCWithRevert(t *testing.T) {
	t.Parallel()
	s, process := slowUpdate(t, "revert {\n on_cancel = true\n }")
	process.Interrupt()
	if out := process.Wait(); out.Err == nil {
		t.Fatal("the interrupted apply says that it succeeded")
	}
	s.answers("v1")
	s.tf.Apply()
	s.answers("v2")
}

// SIGKILL of Terraform, the provider and the deployers: every host runs the old
// or the new version, no process is left, the next plan says that an operation
// did not end, and the next apply finishes the job.
func TestSIGKILL(t *testing.T) {
	t.Parallel()
	s, process := slowUpdate(t, "")
	process.Kill()
	process.Wait()
	waitFor(t, func() bool { return len(testrig.Running(s.tf.Provider)) == 0 })
	for _, h := range s.fleet.Hosts {
		if got := s.answer(h); got != "v1" && got != "v2" {
			t.Errorf("%s answers %q", h.Name, got)
		}
	}
	if out := s.tf.Run("force-unlock", "-force", "x"); out.Err == nil {
		t.Log("the state was locked")
	}
	s.tf.Plan().MustSay(t, "did not end")
	s.tf.Apply()
	s.answers("v2")
	s.tf.NoChanges()
}

// SIGKILL of Terraform alone, and of the provider alone: their children notice
// and end.
func TestSIGKILLOfTerraformAlone(t *testing.T) {
	t.Parallel()
	s, process := slowUpdate(t, "")
	process.KillOne()
	process.Wait()
	waitFor(t, func() bool { return len(testrig.Running(s.tf.Provider)) == 0 })
	s.tf.Apply()
	s.answers("v2")
}

// A host that dies in the middle of a rollout: the others are put back, the
// error names it, the state is true, and the next apply finishes.
func TestAHostDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	s, process := slowUpdate(t, "")
	s.fleet.Hosts[1].Kill(t)
	out := process.Wait()
	if out.Err == nil {
		t.Fatal("the apply says that it succeeded")
	}
	out.MustSay(t, "app-2")
	s.answers("v1", s.fleet.Hosts[0], s.fleet.Hosts[2])
	s.fleet.Hosts[1].Start(t)
	s.tf.Apply()
	s.answers("v2")
	s.tf.NoChanges()
}
