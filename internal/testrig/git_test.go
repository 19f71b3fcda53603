// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

func clone(t *testing.T, f *testrig.Fleet, url string) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	cmd := exec.Command("git", "clone", "--quiet", "--filter=blob:none", url, dir)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL="+os.DevNull)
	if f != nil {
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND=ssh -F none -i "+f.KeyFile+" -o BatchMode=yes -o UserKnownHostsFile="+f.KnownHostsFile)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), err
	}
	content, err := os.ReadFile(filepath.Join(dir, "app.txt"))
	return string(content), err
}

func TestARepositoryGivesTheSameCommitsEveryTime(t *testing.T) {
	t.Parallel()
	make := func() (string, string) {
		r := testrig.NewGitRepo(t)
		first := r.Commit("first", map[string]string{"app.txt": "one", "run.sh": "#!/bin/sh\n"})
		r.Tag("v1.0.0")
		r.Branch("next")
		r.Remove("app.txt")
		return first, r.Commit("second", nil)
	}
	first, second := make()
	if again, andAgain := make(); first != again || second != andAgain {
		t.Error("the same steps gave other commits")
	}
	if first == second {
		t.Error("two commits are one")
	}
}

func TestAGitServerServesThoseWhoKnowTheToken(t *testing.T) {
	t.Parallel()
	r := testrig.NewGitRepo(t)
	r.Commit("first", map[string]string{"app.txt": "one"})
	s := testrig.NewGitServer(t, "s3cret")
	url := s.Serve(r, "shop.git")
	if out, err := clone(t, nil, url); err == nil {
		t.Errorf("a stranger cloned it: %s", out)
	}
	known := strings.Replace(url, "http://", "http://ci:s3cret@", 1)
	if out, err := clone(t, nil, known); err != nil || out != "one" {
		t.Errorf("clone with the token: %q, %v", out, err)
	}
	s.SetDown(true)
	if out, err := clone(t, nil, known); err == nil {
		t.Errorf("a server that is down served: %s", out)
	}
	if asked := s.Requests(); len(asked) == 0 || asked[0] != "GET /shop.git/info/refs" {
		t.Errorf("requests: %q", asked)
	}
}

func TestARepositoryIsReachedOverSSH(t *testing.T) {
	t.Parallel()
	r := testrig.NewGitRepo(t)
	r.Commit("first", map[string]string{"app.txt": "one"})
	f := testrig.NewFleet(t, 1, testrig.Loopback())
	if out, err := clone(t, f, r.SSHURL(f)); err != nil || out != "one" {
		t.Errorf("clone over SSH: %q, %v", out, err)
	}
}
