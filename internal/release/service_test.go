// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/archive"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// rig is a service with a store of its own and a log.
type rig struct {
	*Service
	store store.Store
	dir   string // of the store

	mu  sync.Mutex
	log []string
}

func newRig(t testing.TB, dir string) *rig {
	t.Helper()
	st, err := store.Open(store.Config{Location: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: st, dir: dir}
	r.Service = &Service{
		Store: func(context.Context) (store.Store, error) { return st, nil },
		Now:   func() time.Time { return noon },
		Log: func(line string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.log = append(r.log, line)
		},
	}
	return r
}

// said tells whether a line of the log has the text.
func (r *rig) said(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.log, func(line string) bool { return strings.Contains(line, text) })
}

// plan observes and computes as Terraform does for a create.
func (r *rig) plan(t testing.TB, d pipeline.Definition, ref, version string, prior Prior) Planned {
	t.Helper()
	o, warnings, err := r.Observe(context.Background(), Request{Definition: d, Ref: ref, Version: version, Prior: prior})
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	p, err := Compute(Input{Definition: d, Ref: ref, Version: version, Prior: prior, Observation: o})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (r *rig) make(t testing.TB, d pipeline.Definition, p Planned) Made {
	t.Helper()
	made, err := r.Make(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// priorOf is what the state remembers of a release.
func priorOf(m Made) Prior {
	return Prior{ID: m.ID(), Version: m.Version, Commit: m.Commit, Content: m.Content, Definition: m.Definition, Digest: m.Digest, Commits: m.Planned.Commits}
}

// unpacked gives the files of a release's artifact with their contents.
func (r *rig) unpacked(t testing.TB, release store.Release) map[string]string {
	t.Helper()
	path, err := r.store.Artifact(context.Background(), release, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	if err := archive.Unpack(context.Background(), f, dir, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func shop(t testing.TB) (*testrig.GitRepo, pipeline.Definition) {
	t.Helper()
	repo := testrig.NewGitRepo(t)
	repo.Commit("First", map[string]string{"app.py": "print(1)\n", "tests/test_app.py": "assert True\n"})
	return repo, pipeline.Definition{
		Name:   "shop",
		Source: &pipeline.Source{Git: &pipeline.GitSource{URL: repo.Dir}},
		Stages: []pipeline.Stage{{
			Name: "build",
			Commands: []string{
				`printf '<testsuite tests="1"><testcase name="works"/></testsuite>' > report.xml`,
				`printf '%s of %s' "$DELIVERY_VERSION" "$DELIVERY_COMMIT" > built.txt`,
			},
			Artifacts: []string{"built.txt"},
			Reports:   &pipeline.Reports{JUnit: []string{"report.xml"}},
		}},
		Artifact: &pipeline.Artifact{Exclude: []string{"tests/**"}},
	}
}

// TestRelease goes from a repository to a release, to its next one, and back.
func TestRelease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	repo, d := shop(t)
	first := repo.Head()
	r := newRig(t, filepath.Join(t.TempDir(), "store"))

	p := r.plan(t, d, "main", "", Prior{})
	if want := "0.0.0-1.g" + first[:12] + ".p" + prefix(d.Digest(), 8); p.Version != want || p.Commit != first || len(p.Commits) != 1 || p.Digest != "" {
		t.Fatalf("planned %+v, want %s", p, want)
	}
	made := r.make(t, d, p)
	if made.Reused || made.ID() != p.ID || made.Commit != first || made.Ref != "main" || !made.CreatedAt.Equal(noon) || made.Source != repo.Dir {
		t.Fatalf("made %+v", made)
	}
	if c := made.Checks["build"]; c.Status != "passed" || c.Tests != 1 {
		t.Fatalf("checks %+v", made.Checks)
	}
	files := r.unpacked(t, made.Release)
	if files["app.py"] != "print(1)\n" || files["built.txt"] != p.Version+" of "+first || len(files) != 2 {
		t.Fatalf("files %v", files)
	}
	evidence, err := r.store.Evidence(ctx, made.Release)
	if err != nil || len(evidence.Files) != 2 {
		t.Fatalf("%+v %v", evidence, err)
	}

	// Again: nothing is built.
	again := newRig(t, r.dir)
	reused := again.make(t, d, again.plan(t, d, "main", "", Prior{}))
	if !reused.Reused || reused.Digest != made.Digest || reused.Checks["build"].Tests != 1 || !reused.CreatedAt.Equal(noon) || again.said("begins") {
		t.Fatalf("%+v %v", reused, again.log)
	}

	// The plan that was saved ships what it showed, although the branch moved.
	saved := r.plan(t, d, "main", "", priorOf(made))
	second := repo.Commit("Second", map[string]string{"app.py": "print(2)\n"})
	third := repo.Commit("Third", nil)
	if kept := r.make(t, d, saved); kept.Digest != made.Digest {
		t.Fatalf("%+v", kept)
	}
	next := r.plan(t, d, "main", "", priorOf(made))
	if next.Commit != third || len(next.Commits) != 2 || next.Commits[0].SHA != third || next.Commits[1].Subject != "Second" || next.Commits[1].Author != "Ada Tester" || next.Commits[1].SHA != second {
		t.Fatalf("planned %+v", next)
	}
	repo.Commit("Fourth", nil)
	update := r.make(t, d, next)
	if update.Commit != third || r.unpacked(t, update.Release)["app.py"] != "print(2)\n" {
		t.Fatalf("%+v", update)
	}

	// On a tag.
	repo.Git("checkout", "--quiet", third)
	repo.Tag("v1.5.0")
	tagged := r.plan(t, d, "v1.5.0", "", priorOf(update))
	if tagged.Version != "1.5.0" || len(tagged.Commits) != 0 {
		t.Fatalf("planned %+v", tagged)
	}
	release := r.make(t, d, tagged)
	// The branch is one commit further.
	if after := r.plan(t, d, "main", "", priorOf(release)); !strings.HasPrefix(after.Version, "1.5.1-1.g") || len(after.Commits) != 1 {
		t.Fatalf("planned %+v", after)
	}

	// Another definition under the tag is refused, at plan, and when it comes
	// to that also at apply.
	changed := d
	changed.Stages = append(slices.Clone(d.Stages), pipeline.Stage{Name: "lint", Commands: []string{"true"}})
	o, _, err := r.Observe(ctx, Request{Definition: changed, Ref: "v1.5.0"})
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Definition: changed, Ref: "v1.5.0", Observation: o}
	if _, err := Compute(in); AsProblem(err).Attribute != "pipeline" {
		t.Fatalf("%v", err)
	}
	in.Observation.Existing = nil
	late, err := Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	var conflict *store.ConflictError
	if _, err := r.Make(ctx, changed, late); !errors.As(err, &conflict) {
		t.Fatalf("%v", err)
	}
	versions, err := r.store.Versions(ctx, "shop")
	if err != nil || len(versions) != 3 {
		t.Fatalf("%v %v", versions, err)
	}
}

// TestLostRelease: an empty local store gets the same release again.
func TestLostRelease(t *testing.T) {
	t.Parallel()
	_, d := shop(t)
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	made := r.make(t, d, r.plan(t, d, "main", "", Prior{}))
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	// The state stays as it is.
	if p := r.plan(t, d, "main", "", priorOf(made)); p.ID != made.ID() || p.Digest != made.Digest {
		t.Fatalf("%+v", p)
	}
	definition, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(Recipe{Definition: definition, Planned: made.Planned})
	if err != nil {
		t.Fatal(err)
	}
	var recipe Recipe
	if err := json.Unmarshal(data, &recipe); err != nil {
		t.Fatal(err)
	}
	parsed, err := pipeline.Parse(recipe.Definition)
	if err != nil {
		t.Fatal(err)
	}
	if again := r.make(t, parsed, recipe.Planned); again.Digest != made.Digest || again.Reused {
		t.Fatalf("%+v", again)
	}

	// Stages that give other bytes each time cannot make it again.
	d.Stages[0].Commands = append(d.Stages[0].Commands, "head -c 16 /dev/urandom > built.txt")
	random := r.make(t, d, r.plan(t, d, "main", "", Prior{}))
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Make(context.Background(), d, random.Planned); err == nil || !strings.Contains(err.Error(), "Make the stages reproducible") {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("something is in the store: %v", err)
	}
}

// TestReplacedRelease: a release id that has another digest later is an error.
func TestReplacedRelease(t *testing.T) {
	t.Parallel()
	_, d := shop(t)
	d.Stages[0].Commands = append(d.Stages[0].Commands, "head -c 16 /dev/urandom > built.txt")
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	p := r.plan(t, d, "main", "", Prior{})
	made := r.make(t, d, p)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, r.dir)
	if other := r.make(t, d, p); other.Digest == made.Digest {
		t.Fatal("it is reproducible")
	}
	o, _, err := r.Observe(context.Background(), Request{Definition: d, Ref: "main", Prior: priorOf(made)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compute(Input{Definition: d, Ref: "main", Prior: priorOf(made), Observation: o})
	if err == nil || !strings.Contains(err.Error(), "replaced in the store") {
		t.Fatalf("%v", err)
	}
	if _, err := r.Make(context.Background(), d, made.Planned); err == nil || !strings.Contains(err.Error(), "replaced in the store") {
		t.Fatalf("%v", err)
	}
}

// TestObserveAgain: when nothing moved, nothing is fetched.
func TestObserveAgain(t *testing.T) {
	t.Parallel()
	repo, d := shop(t)
	server := testrig.NewGitServer(t, "")
	d.Source.Git.URL = server.Serve(repo, "shop.git")
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	request := Request{Definition: d, Ref: "main"}
	o, _, err := r.Observe(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	before := len(server.Requests())
	request.Previous = &o
	again, _, err := r.Observe(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	// One ls-remote: a greeting and a question.
	if asked := server.Requests()[before:]; len(asked) > 2 {
		t.Errorf("asked %v", asked)
	}
	if again.Nearest != o.Nearest || len(again.Commits) != len(o.Commits) {
		t.Fatalf("%+v, then %+v", o, again)
	}
	// A tag on the very commit is seen.
	repo.Tag("v1.0.0")
	if tagged, _, err := r.Observe(context.Background(), request); err != nil || !tagged.Nearest.Exact {
		t.Fatalf("%+v %v", tagged, err)
	}
	// Server down.
	server.SetDown(true)
	if _, _, err := r.Observe(context.Background(), request); source.KindOf(err) != source.Unreachable {
		t.Fatalf("%v", err)
	}
}

func TestObserveStoreTrouble(t *testing.T) {
	t.Parallel()
	_, d := shop(t)
	r := newRig(t, "127.0.0.1:1")
	o, warnings, err := r.Observe(context.Background(), Request{Definition: d, Ref: "main"})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "could not be seen") || o.Commit == "" {
		t.Fatalf("%+v %v %v", o, warnings, err)
	}
	if _, _, err := r.Observe(context.Background(), Request{Definition: d, Ref: "no-such"}); AsProblem(err).Attribute != "ref" {
		t.Fatalf("%v", err)
	}
}
