// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestSecretsOfOtherRevisions shows no secret of a revision that is kept, and
// nothing that was not said by the revision in question.
func TestSecretsOfOtherRevisions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"commands": map[string]any{"start": "echo said $SECRET", "stop": "true", "status": "true"}}
	for id, secret := range map[string]string{"rev-1": "first-secret", "rev-2": "second-secret"} {
		rev := revision(t, id, map[string]string{"a": id})
		rev.Secrets = map[string]string{"SECRET": secret}
		r.deploy(rev)
	}
	r.acquire()
	r.activate("rev-1")
	r.activate("rev-2")
	var lines []string
	r.must(r.d.Logs(t.Context(), deployer.LogsRequest{Target: r.target(), Instance: r.id, Lines: 100}, func(l string) error {
		lines = append(lines, l)
		return nil
	}))
	if all := strings.Join(lines, "\n"); strings.Contains(all, "-secret") || !strings.Contains(all, "said (sensitive)") {
		t.Errorf("the log: %q", all)
	}
	s, err := r.d.site(r.target(), r.id)
	r.must(err)
	if tail := s.logTail(t.Context(), "rev-2"); len(tail) != 1 || tail[0] != "said (sensitive)" {
		t.Errorf("the last lines: %q", tail)
	}
	r.must(os.WriteFile(filepath.Join(r.path, metaDir, "log/service.log"), []byte("unknown\n"), 0o600))
	if tail := s.logTail(t.Context(), "rev-2"); len(tail) != 0 {
		t.Errorf("lines of nobody: %q", tail)
	}
}
