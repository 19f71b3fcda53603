// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func (r *rig) preview(rev deployer.Revision) []deployer.Diagnostic {
	r.t.Helper()
	known := deployer.TargetState{Instances: []deployer.Instance{{ID: r.id, Desired: true}}}
	p, err := r.d.Preview(r.t.Context(), deployer.PreviewRequest{Target: r.target(), Revision: rev, State: known})
	r.must(err)
	return p.Findings
}

func said(findings []deployer.Diagnostic) string {
	var all []string
	for _, f := range findings {
		all = append(all, strings.Join(f.Path, ".")+": "+f.Summary+": "+f.Detail)
	}
	return strings.Join(all, "\n")
}

// Of a first deployment no host is asked.
func TestNoPreviewOfAFirstDeployment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.d.Close())
	p, err := r.d.Preview(t.Context(), deployer.PreviewRequest{Target: r.target(), Revision: revision(t, "r1", nil)})
	r.must(err)
	if len(p.Findings) > 0 {
		t.Error(said(p.Findings))
	}
}

// Where there is nothing yet and everything is as it should be, there is nothing
// to say; and a preview leaves nothing behind.
func TestPreviewOfANewHost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := r.preview(revision(t, "r1", nil)); len(got) > 0 {
		t.Error(said(got))
	}
	if r.exists("") {
		t.Error("the preview made the directory")
	}
}

// A service that runs stops before the next one starts: one finding says so, for
// how long, and not of the revision that runs already.
func TestPreviewTellsOfTheGap(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": "exec sleep 600", "stop_timeout": "7s"}
	first, second := revision(t, "r1", nil), revision(t, "r2", nil)
	r.deploy(first)
	r.config["service"] = map[string]any{"command": "exec sleep 601", "stop_timeout": "3s"}
	got := r.preview(second)
	if len(got) != 1 || !got[0].Warning || !strings.Contains(said(got), "service: The service stops before the new one starts: local: expect a gap of up to 7s") {
		t.Error(said(got))
	}
	if got := r.preview(first); len(got) > 0 {
		t.Error(said(got))
	}
	delete(r.config, "service")
	if got := r.preview(second); len(got) != 1 || !strings.Contains(said(got), "The service stops: local: it has up to 7s to end") {
		t.Error(said(got))
	}
}

// A service of the user's own that can change by itself has no gap to tell of.
func TestPreviewOfAServiceThatRestartsByItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	commands := map[string]any{"start": "true", "stop": "true", "status": "true"}
	r.config["service"] = map[string]any{"commands": commands}
	r.deploy(revision(t, "r1", nil))
	next := revision(t, "r2", nil)
	if got := r.preview(next); !strings.Contains(said(got), "expect a gap of up to 10s") {
		t.Error(said(got))
	}
	commands["restart"] = "true"
	if got := r.preview(next); len(got) > 0 {
		t.Error(said(got))
	}
}

// What is not ours and in the way is found before anything is tried.
func TestPreviewFindsWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(os.MkdirAll(filepath.Join(r.path, "current"), 0o755))
	if got := r.preview(revision(t, "r1", nil)); len(got) != 1 || !strings.Contains(said(got), "path: Something else is in the way: local: "+r.path+"/current is there already") {
		t.Error(said(got))
	}
	other := newRig(t)
	r.must(os.WriteFile(filepath.Dir(other.path)+"/file", nil, 0o600))
	other.config["path"] = filepath.Dir(other.path) + "/file/app"
	if got := other.preview(revision(t, "r1", nil)); !strings.Contains(said(got), "/file is not a directory") {
		t.Error(said(got))
	}
}

// A release that does not fit is found, unless it is there already.
func TestPreviewFindsAFullDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "r1", nil)
	rev.Artifact.Size = 1 << 60
	if got := r.preview(rev); len(got) != 1 || !strings.Contains(said(got), "MiB are free for a release of 1099511627776.0 MiB, packed") {
		t.Error(said(got))
	}
	r.deploy(revision(t, "r1", nil))
	if got := r.preview(rev); len(got) > 0 {
		t.Error(said(got))
	}
}

// An instance that the plan knows not to be reachable is not asked again; one
// that it does not know of is a finding.
func TestPreviewOfAHostThatCannotBeReached(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "r1", nil)
	r.preview(rev)
	r.must(r.d.Close())
	if got := r.preview(rev); len(got) != 1 || !strings.Contains(said(got), "A host cannot be looked at: local: ") {
		t.Error(said(got))
	}
	p, err := r.d.Preview(t.Context(), deployer.PreviewRequest{Target: r.target(), Revision: rev, State: deployer.TargetState{
		Instances: []deployer.Instance{{ID: localHost, Desired: true, Unreachable: "no route to host"}},
	}})
	r.must(err)
	if len(p.Findings) > 0 {
		t.Error(said(p.Findings))
	}
}

func TestJudgePreview(t *testing.T) {
	t.Parallel()
	answerOf := func(fields ...string) answer {
		var ans answer
		for _, f := range fields {
			name, value, _ := strings.Cut(f, " ")
			ans.fields = append(ans.fields, field{name, value})
		}
		return ans
	}
	supervised := &settings{Target: Target{Service: &Service{Command: "x"}}, hosts: []host{{id: "a"}, {id: "b"}}}
	for name, c := range map[string]struct {
		ans  answer
		size int64
		want []string
	}{
		"all is well":      {answerOf("df /dev/sda1 1 1 99999999 1% /"), 1 << 20, nil},
		"a right":          {answerOf("denied deploy /srv"), 0, []string{"A right is missing: deploy may not write in /srv"}},
		"no tar":           {answerOf("lacks tar"), 0, []string{"A program is missing: there is no tar"}},
		"no tar, no need":  {answerOf("lacks tar", "whole"), 0, nil},
		"no setsid":        {answerOf("alone"), 0, []string{"A program is missing: there is neither setsid nor perl"}},
		"size unknown":     {answerOf("df map auto home 1 1 1024 1% /"), 0, []string{"The disk may be too full: 1.0 MiB are free"}},
		"hostile df":       {answerOf("df 100%", "df x% -1 5%"), 0, nil},
		"hostile numbers":  {answerOf("df a 1 1 99999999999999999999 1% /", "service r1 supervised", "runs r1", "stop -5 TERM"), 0, []string{"The service stops before the new one starts: expect a gap of up to 0s (stop_timeout), and until the new one answers"}},
		"nothing runs now": {answerOf("service r1 supervised", "stop 10 TERM"), 0, nil},
		"a huge release":   {answerOf("df a 1 1 1 1% /"), 1 << 62, []string{"The disk may be too full: 0.0 MiB are free for a release of 4398046511104.0 MiB, packed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &site{settings: supervised}
			var got []string
			for _, f := range s.judgePreview(c.ans, deployer.Revision{RevisionInfo: deployer.RevisionInfo{ID: "r2"}, Artifact: deployer.Artifact{Size: c.size}}) {
				got = append(got, f.summary+": "+f.here)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Many hosts with the same finding are one diagnostic.
func TestFindingsOfManyHosts(t *testing.T) {
	t.Parallel()
	var sites []*site
	var found [][]finding
	for n := range 20 {
		sites = append(sites, &site{host: host{id: "app-" + itoa(n)}})
		text := "10s"
		if n == 3 {
			text = "20s"
		}
		found = append(found, []finding{{summary: "A gap", here: text, advice: "Advice.", path: "service"}})
	}
	got := together(sites, found)
	want := []deployer.Diagnostic{{Warning: true, Path: []string{"service"}, Summary: "A gap", Detail: "app-0, app-1, app-2, app-4, app-5, app-6, app-7 and 12 more: 10s.\napp-3: 20s.\nAdvice."}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
