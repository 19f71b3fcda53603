// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"strings"
	"testing"
	"time"
)

// Ctrl-C during a destroy: it ends soon, the state keeps the deployment unless
// every host was emptied, and the next destroy finishes the job.
func TestCtrlCDuringADestroy(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.repo.Write("app.py", "import signal\nsignal.signal(signal.SIGTERM, lambda *_: open('/srv/stopping', 'w').close())\n"+app)
	s.commit("v1")
	s.Service = strings.Replace(s.Service, `"2s"`, `"8s"`, 1)
	s.write()
	s.tf.Apply()
	process := s.tf.Start("destroy", "-auto-approve")
	waitFor(t, func() bool {
		for _, h := range s.fleet.Hosts {
			if _, err := h.Try("test -e /srv/stopping"); err == nil {
				return true
			}
		}
		return false
	})
	began := time.Now()
	process.Interrupt()
	out := process.Wait()
	if took := time.Since(began); took > promptly {
		t.Errorf("it took %s to end", took)
	}
	left := ""
	for _, h := range s.fleet.Hosts {
		left += h.Exec(t, "ls -d /srv/api 2>/dev/null; pgrep -f '[a]pp.py'; exit 0")
	}
	if has := s.tf.Has("delivery_deployment.api"); (left != "") && !has {
		t.Errorf("the deployment is gone from the state, and the hosts have %s", left)
	}
	if left != "" && out.Err == nil {
		t.Errorf("the destroy says that it succeeded, and the hosts have %s", left)
	}
	s.tf.Destroy()
	s.answers("")
	for _, h := range s.fleet.Hosts {
		if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "stopping" && left != "" {
			t.Errorf("%s still has %s", h.Name, left)
		}
	}
}

// Rule 6: when a first deployment fails and a host dies before it can be
// cleaned up, the state keeps the deployment, and the next apply takes off what
// is left and deploys.
func TestAnApplyAfterAFirstDeploymentThatWasNotCleanedUp(t *testing.T) {
	t.Parallel()
	s := halfCleaned(t)
	s.commit("v2")
	s.tf.Apply()
	s.answers("v2")
	s.runs(s.releaseID())
	s.tf.NoChanges()
}

// A deployment that somebody marked as tainted is taken off and made anew, like
// any other replacement.
func TestATaintedDeploymentIsReplaced(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	if out := s.tf.Run("taint", "delivery_deployment.api"); out.Err != nil {
		t.Fatal(out.Text())
	}
	s.commit("v2")
	s.tf.Apply()
	s.answers("v2")
	s.runs(s.releaseID())
	s.tf.NoChanges()
}

// A destroy of what somebody has emptied by hand leaves nothing either.
func TestADestroyOfAnEmptiedHost(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	h := s.fleet.Hosts[0]
	h.Exec(t, "pkill -u deploy -f supervise; pkill -u deploy python3; rm -rf /srv/api")
	s.tf.Destroy()
	if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "" {
		t.Errorf("the host still has %s", left)
	}
}
