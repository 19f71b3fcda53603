// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestStoppedInstall ends a Prepare while its install command runs: the call
// ends then, and so does the command.
func TestStoppedInstall(t *testing.T) {
	t.Parallel()
	r := newSSHD(t).rig("", nil)
	r.config["install"] = []string{"echo $$ >../../pid; exec sleep 60"}
	r.acquire()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.d.Prepare(ctx, deployer.PrepareRequest{Mutation: r.mutation(), Revision: revision(t, "rev-1", map[string]string{"a": "b"})}, quiet)
		done <- err
	}()
	eventually(t, "the command runs", func() bool { return r.exists("pid") && strings.TrimSpace(r.file("pid")) != "" })
	cancel()
	wantError(t, within(t, 15*time.Second, done), deployer.CodeInterrupted)
	pid := strings.TrimSpace(r.file("pid"))
	eventually(t, "the command ended", func() bool {
		_, err := os.Stat(filepath.Join("/proc", pid))
		return err != nil
	})
	eventually(t, "nothing of it is left", func() bool { return len(releasesIn(r.path)) == 0 })
}

// TestInspectOfWhatHangs looks at a directory in which a file never ends: the
// answer is that there is none, and nothing stays behind on the host.
func TestInspectOfWhatHangs(t *testing.T) {
	t.Parallel()
	r := newSSHD(t).rig("", nil)
	r.deploy(revision(t, "rev-1", map[string]string{"a": "b"}))
	good := filepath.Join(r.path, metaDir, "last_good")
	r.must(os.Remove(good))
	r.must(syscall.Mkfifo(good, 0o600))
	done := make(chan error, 1)
	var state deployer.TargetState
	go func() {
		var err error
		state, err = r.d.Inspect(t.Context(), deployer.InspectRequest{Target: r.target(), Timeout: time.Second})
		done <- err
	}()
	r.must(within(t, 15*time.Second, done))
	if why := state.Instances[0].Unreachable; why != "no answer in time" {
		t.Errorf("unreachable: %q", why)
	}
	eventually(t, "nothing reads it", func() bool { return readers(good) == 0 })
}

func within(t *testing.T, limit time.Duration, done <-chan error) error {
	t.Helper()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		t.Fatalf("it did not end within %s", limit)
		return nil
	}
}

// readers counts the processes that were told to read a file.
func readers(path string) int {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	count := 0
	for _, l := range lines {
		if text, err := os.ReadFile(l); err == nil && strings.HasPrefix(string(text), "cat\x00"+path) {
			count++
		}
	}
	return count
}
