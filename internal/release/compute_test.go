// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
)

func gitDefinition() pipeline.Definition {
	return pipeline.Definition{
		Name:   "shop",
		Source: &pipeline.Source{Git: &pipeline.GitSource{URL: "https://git.acme.io/shop.git"}},
		Stages: []pipeline.Stage{{Name: "test", Commands: []string{"true"}}},
	}
}

func directoryDefinition(path string) pipeline.Definition {
	d := gitDefinition()
	d.Source = &pipeline.Source{Directory: &pipeline.DirectorySource{Path: path}}
	return d
}

// seen is an observation of gitDefinition at main.
func seen(commit string, at source.Description) Observation {
	return Observation{Schema: observationSchema, Source: sourceDigest(gitDefinition()), Ref: "main", Commit: commit, Nearest: at}
}

func TestCompute(t *testing.T) {
	t.Parallel()
	d := gitDefinition()
	changed := gitDefinition()
	changed.Stages[0].Commands = []string{"make test"}
	tagged := source.Description{Tag: "v1.5.0", Exact: true}
	between := source.Description{Tag: "v1.4.1", Distance: 3}
	derived := "1.4.2-3.g0123456789ab.p" + prefix(d.Digest(), 8)
	news := []Commit{{SHA: commitA, Author: "Ada", Subject: "A change"}}
	existing := func(e Existing) Observation {
		o := seen(commitA, tagged)
		o.Existing = &e
		return o
	}
	updated := seen(commitA, between)
	updated.Since, updated.Commits = commitB, news
	ofDirectory := "0.0.0-dir.aaaaaaaaaaaa.p" + prefix(directoryDefinition("app").Digest(), 8)
	directory := Observation{Schema: observationSchema, Content: "sha256:" + strings.Repeat("a", 64), Source: sourceDigest(directoryDefinition("app"))}
	prior := Prior{ID: "shop:1.5.0", Version: "1.5.0", Commit: commitA, Definition: d.Digest(), Digest: "sha256:prior", Commits: news}

	for name, c := range map[string]struct {
		in      Input
		want    Planned
		problem string // "attribute: part of the text"
	}{
		"derived": {in: Input{Definition: d, Ref: "main", Observation: seen(commitA, between)},
			want: Planned{ID: "shop:" + derived, Version: derived, Commit: commitA}},
		"on a tag": {in: Input{Definition: d, Ref: "main", Observation: seen(commitA, tagged)},
			want: Planned{ID: "shop:1.5.0", Version: "1.5.0", Commit: commitA}},
		"given": {in: Input{Definition: d, Ref: "main", Version: "2.0.0", Observation: seen(commitA, between)},
			want: Planned{ID: "shop:2.0.0", Version: "2.0.0", Commit: commitA}},
		"a new commit": {in: Input{Definition: d, Ref: "main", Prior: Prior{ID: "shop:1.4.1", Version: "1.4.1", Commit: commitB, Definition: d.Digest()}, Observation: updated},
			want: Planned{ID: "shop:" + derived, Version: derived, Commit: commitA, Commits: news}},
		"nothing new": {in: Input{Definition: d, Ref: "main", Prior: prior, Observation: seen(commitA, tagged)},
			want: Planned{ID: "shop:1.5.0", Version: "1.5.0", Commit: commitA, Commits: news, Digest: "sha256:prior"}},
		"a changed stage reuses what was seen": {in: Input{Definition: changed, Ref: "main", Observation: seen(commitA, between)},
			want: Planned{ID: "shop:1.4.2-3.g0123456789ab.p" + prefix(changed.Digest(), 8), Version: "1.4.2-3.g0123456789ab.p" + prefix(changed.Digest(), 8), Commit: commitA}},
		"exists already": {in: Input{Definition: d, Ref: "main", Observation: existing(Existing{Version: "1.5.0", Commit: commitA, Definition: d.Digest(), Digest: "sha256:there", Ref: "v1.5.0", Source: "ssh://x"})},
			want: Planned{ID: "shop:1.5.0", Version: "1.5.0", Commit: commitA, Digest: "sha256:there", Ref: "v1.5.0", Source: "ssh://x"}},
		"another version exists": {in: Input{Definition: d, Ref: "main", Version: "1.6.0", Observation: existing(Existing{Version: "1.5.0", Commit: commitB, Definition: d.Digest()})},
			want: Planned{ID: "shop:1.6.0", Version: "1.6.0", Commit: commitA}},
		"a directory": {in: Input{Definition: directoryDefinition("app"), Observation: directory},
			want: Planned{ID: "shop:" + ofDirectory, Version: ofDirectory, Content: directory.Content}},

		"no ref":            {in: Input{Definition: d, Observation: seen(commitA, tagged)}, problem: "ref: name the branch"},
		"ref for directory": {in: Input{Definition: directoryDefinition("app"), Ref: "main", Observation: directory}, problem: "ref: remove ref"},
		"another ref":       {in: Input{Definition: d, Ref: "next", Observation: seen(commitA, tagged)}, problem: ": another ref"},
		"another source":    {in: Input{Definition: directoryDefinition("app"), Observation: seen(commitA, tagged)}, problem: ": another one"},
		"a bad version":     {in: Input{Definition: d, Ref: "main", Version: "v1.5.0", Observation: seen(commitA, tagged)}, problem: "version: write \"1.5.0\""},
		"given version with another commit, in the state": {
			in:      Input{Definition: d, Ref: "main", Version: "1.5.0", Prior: Prior{ID: "shop:1.5.0", Version: "1.5.0", Commit: commitB, Definition: d.Digest()}, Observation: seen(commitA, between)},
			problem: "version: made from commit fedcba987654, and main is now at 0123456789ab. A release never changes: set another version"},
		"given version with another commit, in the store": {
			in:      Input{Definition: d, Ref: "main", Version: "1.5.0", Observation: existing(Existing{Version: "1.5.0", Commit: commitB, Definition: d.Digest()})},
			problem: "version: made from commit fedcba987654"},
		"a tag that moved": {
			in:      Input{Definition: d, Ref: "main", Observation: existing(Existing{Version: "1.5.0", Commit: commitB, Definition: d.Digest()})},
			problem: "version: make a new tag, or set version"},
		"another definition on a tag": {
			in:      Input{Definition: changed, Ref: "main", Prior: prior, Observation: seen(commitA, tagged)},
			problem: "pipeline: make a new tag, or set version"},
		"another definition on a tag, in the store": {
			in:      Input{Definition: changed, Ref: "main", Observation: existing(Existing{Version: "1.5.0", Commit: commitA, Definition: d.Digest()})},
			problem: "pipeline: make a new tag, or set version"},
		"another definition of a given version": {
			in:      Input{Definition: changed, Ref: "main", Version: "1.5.0", Prior: prior, Observation: seen(commitA, tagged)},
			problem: "version: set another version"},
		"replaced in the store": {
			in:      Input{Definition: d, Ref: "main", Prior: prior, Observation: existing(Existing{Version: "1.5.0", Commit: commitA, Definition: d.Digest(), Digest: "sha256:other"})},
			problem: "version: somebody pushed over it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// It survives private state.
			data, err := json.Marshal(c.in.Observation)
			if err != nil {
				t.Fatal(err)
			}
			c.in.Observation = Observation{}
			if err := json.Unmarshal(data, &c.in.Observation); err != nil {
				t.Fatal(err)
			}
			got, err := Compute(c.in)
			if c.problem != "" {
				attribute, says, _ := strings.Cut(c.problem, ": ")
				if attribute == "" {
					says = strings.TrimPrefix(c.problem, ": ")
				}
				var p *Problem
				if !errors.As(err, &p) || p.Attribute != attribute || !strings.Contains(err.Error(), says) || p.Summary == "" {
					t.Fatalf("%+v: %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Pipeline, c.want.Definition = "shop", c.in.Definition.Digest()
			if c.want.Digest != "sha256:there" {
				c.want.Ref = c.in.Ref
				c.want.Source = sourceURL(c.in.Definition)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if again, err := Compute(c.in); err != nil || !cmp.Equal(got, again) {
				t.Error("the same input gave another plan")
			}
		})
	}
}

func TestSourceURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://git.acme.io/shop.git":           "https://git.acme.io/shop.git",
		"https://ci:s3cret@git.acme.io/shop.git": "https://git.acme.io/shop.git",
		"https://token@git.acme.io/shop.git":     "https://git.acme.io/shop.git",
		"ssh://git@git.acme.io:2222/shop.git":    "ssh://git@git.acme.io:2222/shop.git",
		"ssh://git:pw@git.acme.io/shop.git":      "ssh://git.acme.io/shop.git",
		"git@git.acme.io:acme/shop.git":          "git@git.acme.io:acme/shop.git",
		"/srv/git/shop.git":                      "/srv/git/shop.git",
	} {
		d := gitDefinition()
		d.Source.Git.URL = raw
		if got := sourceURL(d); got != want {
			t.Errorf("%s: %s", raw, got)
		}
	}
	built := pipeline.Definition{Name: "shop", Artifact: &pipeline.Artifact{URL: "https://files.acme.io/app.tar.gz?X-Amz-Signature=s3cret#x", SHA256: strings.Repeat("a", 64)}}
	if got := sourceURL(built); got != "https://files.acme.io/app.tar.gz" {
		t.Errorf("a signed URL: %s", got)
	}
	if got := sourceURL(directoryDefinition("/home/ada/app")); got != "" {
		t.Errorf("a directory means something on one machine only: %s", got)
	}
}
