// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// slowUpload begins to prepare a revision and gives what sends the rest of it.
func (r *rig) slowUpload(rev deployer.Revision, after ...string) (end func() (answer, error)) {
	r.t.Helper()
	s, err := r.d.site(r.target(), r.id)
	r.must(err)
	files, err := releaseFiles(s.settings, rev)
	r.must(err)
	p, done, err := r.d.payloads.open(r.t.Context(), rev.Artifact, r.t.TempDir())
	r.must(err)
	r.t.Cleanup(done)
	tars, err := streams(p, files, 1)
	r.must(err)
	held, err := parseToken(r.token)
	r.must(err)
	out, in := io.Pipe()
	type result struct {
		ans answer
		err error
	}
	ended := make(chan result, 1)
	go func() {
		ans, err := s.tell(r.t.Context(), call{body: out}, "prepare", append([]string{
			held.number(s), r.owner, "", rev.ID, ".incoming-slow", strconv.FormatInt(tars[0].size, 10), "60",
		}, after...)...)
		_ = out.CloseWithError(err)
		ended <- result{ans, err}
	}()
	_, err = io.CopyN(in, tars[0], 512)
	r.must(err)
	eventually(r.t, "the upload has begun", func() bool { return r.exists("releases/.incoming-slow") })
	return func() (answer, error) {
		_, _ = io.Copy(in, tars[0])
		_ = in.Close()
		got := <-ended
		return got.ans, got.err
	}
}

// TestAnOvertakenUploadChangesNothing loses the lock while an upload is on its
// way, and the new holder takes the same revision into use.
func TestAnOvertakenUploadChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	r.acquire()
	end := r.slowUpload(rev, "--")
	r.release()
	// The next holder clears uploads away; this one comes too late for that.
	r.must(os.Rename(filepath.Join(r.path, "releases/.incoming-slow"), filepath.Join(r.path, "slow")))
	r.deploy(rev)
	r.must(os.Rename(filepath.Join(r.path, "slow"), filepath.Join(r.path, "releases/.incoming-slow")))
	r.write("releases/rev-1/written", "by the live service")
	_, err := end()
	wantError(t, err, deployer.CodeFenced)
	if !r.exists("current/written") || r.exists("releases/.incoming-slow") {
		t.Error(listing(t, r.path))
	}
}

// TestAnUploadClearedAwayIsFenced tells the reason, not what tar said.
func TestAnUploadClearedAwayIsFenced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.acquire()
	end := r.slowUpload(revision(t, "rev-1", map[string]string{"a": "1"}), "--")
	r.release()
	r.acquire()
	_, err := end()
	wantError(t, err, deployer.CodeFenced)
}

// TestAnUploadOfWhatCameMeanwhileIsDropped has two uploads of one lock.
func TestAnUploadOfWhatCameMeanwhileIsDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	r.acquire()
	end := r.slowUpload(rev, "--")
	r.prepare(rev)
	r.activate("rev-1")
	r.write("releases/rev-1/written", "by the live service")
	ans, err := end()
	r.must(err)
	if !ans.has("present") || ans.has("changed") || !r.exists("current/written") || r.exists("releases/.incoming-slow") {
		t.Errorf("%+v\n%s", ans, listing(t, r.path))
	}
}

// TestALockLostWhileInstallingLeavesTheReleaseToItsNewHolder ends an install
// command when another holder makes the same release.
func TestALockLostWhileInstallingLeavesTheReleaseToItsNewHolder(t *testing.T) {
	t.Parallel()
	for _, install := range []string{"true", "false"} {
		r := newRig(t)
		rev := revision(t, "rev-1", map[string]string{"a": "1"})
		r.acquire()
		end := r.slowUpload(rev, "--", "touch ../../waits; until test -e ../../go; do sleep 0.02; done; "+install, "touch ../../../late")
		ended := make(chan error, 1)
		go func() {
			_, err := end()
			ended <- err
		}()
		eventually(t, "the command runs", func() bool { return r.exists("waits") })
		r.release()
		r.deploy(rev)
		r.write("go", "")
		e := deployer.AsError(<-ended)
		if e == nil || install == "true" && e.Code != deployer.CodeFenced {
			t.Errorf("%s: %v", install, e)
		}
		if _, err := os.Stat(filepath.Join(r.path, "../late")); err == nil || !r.exists("current/a") {
			t.Errorf("%s:\n%s", install, listing(t, strings.TrimSuffix(r.path, "/app")))
		}
	}
}
