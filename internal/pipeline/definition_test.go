// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

// shop is a definition with every member set.
func shop() pipeline.Definition {
	return pipeline.Definition{
		Name:   "shop",
		Source: &pipeline.Source{Git: &pipeline.GitSource{URL: "https://git.acme.io/shop.git", Path: "api", Submodules: true}},
		Stages: []pipeline.Stage{
			{
				Name: "test", Commands: []string{"pytest --junitxml=report.xml && true"}, Needs: []string{"lint", "build"}, Timeout: "10m", Retries: 2,
				AllowFailure: true, EnvironmentVariables: map[string]string{"B": "2", "A": "1"}, Secrets: []string{"NPM_TOKEN"},
				Artifacts: []string{"dist/**"}, Reports: &pipeline.Reports{JUnit: []string{"report.xml"}},
			},
			{Name: "build", Commands: []string{"make"}},
			{Name: "lint", Commands: []string{"make lint"}},
		},
		Artifact: &pipeline.Artifact{Include: []string{"**"}, Exclude: []string{"tests/**"}},
	}
}

const shopJSON = `{"name":"shop","source":{"git":{"url":"https://git.acme.io/shop.git","path":"api","submodules":true}},"stages":[` +
	`{"name":"build","commands":["make"]},{"name":"lint","commands":["make lint"]},` +
	`{"name":"test","needs":["build","lint"],"commands":["pytest --junitxml=report.xml && true"],"timeout":"10m","retries":2,"allow_failure":true,` +
	`"environment_variables":{"A":"1","B":"2"},"secrets":["NPM_TOKEN"],"artifacts":["dist/**"],"reports":{"junit":["report.xml"]}}],` +
	`"artifact":{"include":["**"],"exclude":["tests/**"]}}`

// The digest is pinned: it is a part of versions, so it may not change when
// members are added.
func TestTheCanonicalFormIsStable(t *testing.T) {
	t.Parallel()
	d := shop()
	data, err := d.JSON()
	if err != nil || string(data) != shopJSON {
		t.Errorf("%s, %v", data, err)
	}
	if got := d.Digest(); got != "sha256:cffe1393c29745ff576954d9d2d501c47fb362b5c991acbfd4e1cb802c242e7c" {
		t.Errorf("digest %s", got)
	}
	slices.Reverse(d.Stages)
	slices.Reverse(d.Stages[2].Needs)
	if again, _ := d.JSON(); !bytes.Equal(again, data) {
		t.Errorf("another order gives %s", again)
	}
	parsed, err := pipeline.Parse(data)
	if err != nil || parsed.Digest() != d.Digest() {
		t.Errorf("read again: %+v, %v", parsed, err)
	}
	small := pipeline.Definition{Name: "x", Stages: []pipeline.Stage{}, Artifact: &pipeline.Artifact{}}
	if data, _ := small.JSON(); string(data) != `{"name":"x"}` {
		t.Errorf("nothing set gives %s", data)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for data, say := range map[string]string{
		`{"name":"x","stagez":[]}`: "stagez", "{\n\"name\": x": "line 2", `{"name":"x"} {}`: "after its end", `[]`: "array",
		`{"name":"` + strings.Repeat("x", 5<<20) + `"}`: "more than",
	} {
		if _, err := pipeline.Parse([]byte(data)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.40s: error is %v, want %q", data, err, say)
		}
	}
}

func TestGoodDefinitionsHaveNoProblems(t *testing.T) {
	t.Parallel()
	if problems := shop().Validate(); len(problems) > 0 {
		t.Error(problems)
	}
	elsewhere := pipeline.Definition{Name: "x", Artifact: &pipeline.Artifact{URL: "https://ci.acme.io/a.tar.zst", SHA256: strings.Repeat("a", 64)}}
	if problems := elsewhere.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
}

func stages(stages ...pipeline.Stage) func(*pipeline.Definition) {
	return func(d *pipeline.Definition) { d.Stages = stages }
}

func stage(change func(*pipeline.Stage)) func(*pipeline.Definition) {
	s := pipeline.Stage{Name: "a", Commands: []string{"true"}}
	change(&s)
	return stages(s)
}

func TestProblemsNameTheirAttribute(t *testing.T) {
	t.Parallel()
	ok := []string{"true"}
	hash := strings.Repeat("a", 64)
	from := func(url string) func(*pipeline.Definition) {
		return func(d *pipeline.Definition) {
			*d = pipeline.Definition{Name: "x", Artifact: &pipeline.Artifact{URL: url, SHA256: hash}}
		}
	}
	for name, c := range map[string]struct {
		change func(*pipeline.Definition)
		path   string
		say    string
	}{
		"pipeline name": {func(d *pipeline.Definition) { d.Name = "Shop!" }, "name", "cannot be a pipeline's name"},
		"no source":     {func(d *pipeline.Definition) { d.Source = nil }, "source", "needs a source"},
		"two sources":   {func(d *pipeline.Definition) { d.Source.Directory = &pipeline.DirectorySource{Path: "."} }, "source", "either"},
		"no URL":        {func(d *pipeline.Definition) { d.Source.Git.URL = "" }, "source.git.url", "empty"},
		"a token for Git": {
			func(d *pipeline.Definition) { d.Source.Git.URL = "https://git.acme.io/x?access_token=s3cret" },
			"source.git.url", "a credential in it (access_token)",
		},
		"a signed url": {
			func(d *pipeline.Definition) {
				d.Source, d.Stages = nil, nil
				d.Artifact = &pipeline.Artifact{URL: "https://h/x?X-Amz-Date=1&X-Amz-Signature=s3cret", SHA256: hash}
			},
			"artifact.url", "a credential in it (X-Amz-Signature)",
		},
		"a file's url":      {from("file:///srv/app.tar.gz"), "artifact.url", "must begin with https:// or http://"},
		"a bucket's url":    {from("s3://acme/app.tar.gz"), "artifact.url", "must begin with https:// or http://"},
		"a path for a url":  {from("app.tar.gz"), "artifact.url", "must begin with https:// or http://"},
		"a url to nowhere":  {from("https:///app.tar.gz"), "artifact.url", "and a host"},
		"a url with a user": {from("https://ada@acme.io/app.tar.gz"), "artifact.url", "has a user in it"},
		"url without hash": {
			func(d *pipeline.Definition) {
				*d = pipeline.Definition{Name: "x", Artifact: &pipeline.Artifact{URL: "https://h/x"}}
			}, "artifact.sha256", "64 hex",
		},
		"url and source": {func(d *pipeline.Definition) { d.Artifact = &pipeline.Artifact{URL: "https://h/x", SHA256: hash} }, "artifact.url", "no room"},
		"artifact glob":  {func(d *pipeline.Definition) { d.Artifact.Exclude = []string{"ok", "a[b"} }, "artifact.exclude.1", "not a valid pattern"},
		"stage name":     {stage(func(s *pipeline.Stage) { s.Name = "Te st" }), "stage.Te st.name", "cannot be a stage's name"},
		"unknown need":   {stage(func(s *pipeline.Stage) { s.Needs = []string{"tset"} }), "stage.a.needs", `no stage "tset"`},
		"a typo": {
			stages(pipeline.Stage{Name: "build", Commands: ok}, pipeline.Stage{Name: "test", Commands: ok, Needs: []string{"buld"}}),
			"stage.test.needs", `did you mean "build"?`,
		},
		"a need twice": {
			stages(pipeline.Stage{Name: "a", Commands: ok}, pipeline.Stage{Name: "b", Commands: ok, Needs: []string{"a", "a"}}),
			"stage.b.needs", "named twice",
		},
		"itself": {stage(func(s *pipeline.Stage) { s.Needs = []string{"a"} }), "stage.a.needs", "a → a"},
		"a circle": {
			stages(pipeline.Stage{Name: "a", Commands: ok, Needs: []string{"c"}}, pipeline.Stage{Name: "b", Commands: ok, Needs: []string{"a"}},
				pipeline.Stage{Name: "c", Commands: ok, Needs: []string{"b"}}), "stage.a.needs", "a → c → b → a",
		},
		"two of a name":    {stages(pipeline.Stage{Name: "a", Commands: ok}, pipeline.Stage{Name: "a", Commands: ok}), "stage.a.name", "two stages"},
		"no commands":      {stage(func(s *pipeline.Stage) { s.Commands = nil }), "stage.a.commands", "at least one"},
		"an empty command": {stage(func(s *pipeline.Stage) { s.Commands = []string{"true", " "} }), "stage.a.commands.1", "empty"},
		"a timeout":        {stage(func(s *pipeline.Stage) { s.Timeout = "10" }), "stage.a.timeout", "not a duration"},
		"a negative one":   {stage(func(s *pipeline.Stage) { s.Timeout = "-1m" }), "stage.a.timeout", "not a duration"},
		"retries":          {stage(func(s *pipeline.Stage) { s.Retries = 11 }), "stage.a.retries", "between 0 and 10"},
		"a variable": {
			stage(func(s *pipeline.Stage) { s.EnvironmentVariables = map[string]string{"A B": ""} }),
			"stage.a.environment_variables.A B", "cannot be the name",
		},
		"our own variables": {
			stage(func(s *pipeline.Stage) { s.EnvironmentVariables = map[string]string{"DELIVERY_X": ""} }),
			"stage.a.environment_variables.DELIVERY_X", "set by the pipeline",
		},
		"a secret's name": {stage(func(s *pipeline.Stage) { s.Secrets = []string{"A=B"} }), "stage.a.secrets.0", "cannot be the name"},
		"secret and variable": {stage(func(s *pipeline.Stage) {
			s.Secrets, s.EnvironmentVariables = []string{"A"}, map[string]string{"A": "1"}
		}), "stage.a.secrets.0", "also an environment variable"},
		"an artifact": {stage(func(s *pipeline.Stage) { s.Artifacts = []string{"/etc/passwd"} }), "stage.a.artifacts.0", "begins with a slash"},
		"a report": {
			stage(func(s *pipeline.Stage) { s.Reports = &pipeline.Reports{JUnit: []string{"../x"}} }),
			"stage.a.reports.junit.0", "out of the checkout",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shop()
			c.change(&d)
			problems := d.Validate()
			found := slices.ContainsFunc(problems, func(p pipeline.Problem) bool {
				return strings.Join(p.Path, ".") == c.path && strings.Contains(p.Message, c.say)
			})
			if !found {
				t.Errorf("problems are %v", problems)
			}
			if _, err := pipeline.Run(t.Context(), d, pipeline.Options{Dir: t.TempDir()}); err == nil {
				t.Error("it was run")
			}
		})
	}
}

func TestMissingSecretsAreKnownBeforehand(t *testing.T) {
	t.Parallel()
	problems := shop().CheckSecrets(map[string]string{"OTHER": "x"})
	if len(problems) != 1 || fmt.Sprint(problems[0].Path) != "[stage test secrets]" || !strings.Contains(problems[0].Message, "NPM_TOKEN") {
		t.Error(problems)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(shopJSON))
	f.Add([]byte(`{"name":"x","stages":[{"name":"a","needs":["b"]},{"name":"b","needs":["a"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := pipeline.Parse(data)
		if err != nil {
			return
		}
		d.Validate()
		canonical, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := pipeline.Parse(canonical)
		if err != nil {
			t.Fatalf("%s: %v", canonical, err)
		}
		if second, _ := again.JSON(); !bytes.Equal(second, canonical) || again.Digest() != d.Digest() {
			t.Fatalf("%s\n%s", canonical, second)
		}
	})
}
