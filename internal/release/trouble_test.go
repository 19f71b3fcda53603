// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// TestNothingIsLeft: after every kind of failure there is no release, nothing
// in the store and nothing in the temporary directory.
func TestNothingIsLeft(t *testing.T) {
	readOnly := "mkdir -p cache/deep && touch cache/deep/file && chmod -R a-w cache"
	for name, c := range map[string]struct {
		change func(d *pipeline.Definition)
		says   string
	}{
		"a stage fails": {func(d *pipeline.Definition) {
			d.Stages[0].Commands = []string{readOnly, "echo looked; exit 3"}
		}, "looked"},
		"a test fails": {func(d *pipeline.Definition) {
			d.Stages[0].Commands = []string{`printf '<testsuite><testcase name="adds"><failure/></testcase></testsuite>' > report.xml; exit 1`}
		}, "adds"},
		"no such command": {func(d *pipeline.Definition) { d.Stages[0].Commands = []string{"no-such-command"} }, "no-such-command"},
		"an artifact without files": {func(d *pipeline.Definition) {
			d.Artifact = &pipeline.Artifact{Include: []string{"dist/**"}}
		}, "no file"},
		"a secret that nobody gives": {func(d *pipeline.Definition) { d.Stages[0].Secrets = []string{"NPM_TOKEN"} }, `A secret is missing: Stage "`},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := shop(t)
			c.change(&d)
			r := newRig(t, filepath.Join(t.TempDir(), "store"))
			p := r.plan(t, d, "main", "", Prior{})
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			_, err := r.Make(context.Background(), d, p)
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.says)) {
				t.Errorf("%v", err)
			}
			if p := AsProblem(err); p.Attribute != "pipeline" || p.Detail == "" {
				t.Errorf("%+v", p)
			}
			nothingIn(t, temporary)
			if _, err := os.Stat(r.dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something is in the store: %v", err)
			}
		})
	}
}

// TestNothingIsLeftBehind: the same after success, whatever stages left.
func TestNothingIsLeftBehind(t *testing.T) {
	_, d := shop(t)
	d.Stages[0].Commands = append(d.Stages[0].Commands, "mkdir -p cache/deep && touch cache/deep/file && chmod -R a-w cache")
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	p := r.plan(t, d, "main", "", Prior{})
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	r.make(t, d, p)
	nothingIn(t, temporary)
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("%v was left: %v", left, err)
	}
}

// TestCancel: cancelling in the middle of a stage ends it, and nothing is left.
func TestCancel(t *testing.T) {
	_, d := shop(t)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "began")
	if out, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d.Stages[0].Commands = []string{"echo > " + pipe, "sleep 600"}
	r := newRig(t, filepath.Join(dir, "store"))
	p := r.plan(t, d, "main", "", Prior{})
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		f, err := os.Open(pipe) // until the stage writes
		if err == nil {
			f.Close()
		}
		cancel()
	}()
	begin := time.Now()
	if _, err := r.Make(ctx, d, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	nothingIn(t, temporary)
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("app.py", "print(1)\n")
	for _, never := range []string{".git/HEAD", ".terraform/x", ".delivery/store/x", "terraform.tfstate", "saved.tfplan", "tfplan"} {
		write(never, "x")
	}
	d := pipeline.Definition{Name: "shop", Source: &pipeline.Source{Directory: &pipeline.DirectorySource{Path: dir}}}
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	p := r.plan(t, d, "", "", Prior{})
	if p.Version != "0.0.0-dir."+prefix(p.Content, 12)+".p"+prefix(d.Digest(), 8) || p.Commit != "" || p.Commits != nil {
		t.Fatalf("planned %+v", p)
	}
	made := r.make(t, d, p)
	if files := r.unpacked(t, made.Release); len(files) != 1 || files["app.py"] != "print(1)\n" {
		t.Fatalf("files %v", files)
	}
	write("saved.tfplan", "another plan")
	write("tfplan", "another plan")
	if again := r.plan(t, d, "", "", priorOf(made)); again.ID != made.ID() {
		t.Fatalf("planned %+v", again)
	}
	// It changes between plan and apply.
	write("app.py", "print(2)\n")
	changed := r.plan(t, d, "", "", priorOf(made))
	write("app.py", "print(3)\n")
	if _, err := r.Make(context.Background(), d, changed); source.KindOf(err) != source.Changed {
		t.Fatalf("%v", err)
	}
	if versions, err := r.store.Versions(context.Background(), "shop"); err != nil || len(versions) != 1 {
		t.Fatalf("%v %v", versions, err)
	}
	// A given version keeps its content.
	given := r.make(t, d, r.plan(t, d, "", "1.0.0", priorOf(made)))
	write("app.py", "print(4)\n")
	o, _, err := r.Observe(context.Background(), Request{Definition: d, Version: "1.0.0", Prior: priorOf(given)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compute(Input{Definition: d, Version: "1.0.0", Prior: priorOf(given), Observation: o}); AsProblem(err).Attribute != "version" {
		t.Fatalf("%v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Observe(context.Background(), Request{Definition: d}); source.KindOf(err) != source.NotFound {
		t.Fatalf("%v", err)
	}
}

// TestCheckSecrets: what a plan says and what making says is this.
func TestCheckSecrets(t *testing.T) {
	t.Parallel()
	d := pipeline.Definition{Stages: []pipeline.Stage{{Name: "test", Secrets: []string{"A", "B"}}, {Name: "pack", Secrets: []string{"C"}}}}
	service := Service{Secrets: map[string]string{"B": "x"}}
	const want = `Stage "test" asks for the secret "A", which the provider's secrets do not have; stage "pack" asks for the secret "C", ` +
		"which the provider's secrets do not have. Add it to secrets of the provider block, or take it out of the stage."
	if got := AsProblem(service.CheckSecrets(d)); got.Attribute != "pipeline" || got.Summary != "A secret is missing" || got.Detail != want {
		t.Errorf("%+v", got)
	}
	service.Secrets = map[string]string{"A": "", "B": "", "C": ""}
	if err := service.CheckSecrets(d); err != nil {
		t.Error(err)
	}
}

// TestPinned: the same directory and definition give this digest on any
// machine, with any user, at any time.
func TestPinned(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("app/bin", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"app/bin/run": 0o700, "app/app.py": 0o640, "app/ä.txt": 0o600} {
		if err := os.WriteFile(name, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	d := pipeline.Definition{
		Name:   "shop",
		Source: &pipeline.Source{Directory: &pipeline.DirectorySource{Path: "app"}},
		Stages: []pipeline.Stage{{Name: "build", Commands: []string{"echo built > built"}, Artifacts: []string{"built"}}},
	}
	r := newRig(t, "./store")
	made := r.make(t, d, r.plan(t, d, "", "1.0.0", Prior{}))
	const want = "sha256:3fc5c8525d527c292bd60e978566b616fc700da34901730df468d30c102b73c7"
	if made.Digest != want {
		t.Errorf("the digest is %s, not %s: %+v", made.Digest, want, made.Record)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	_, d := shop(t)
	d.Stages[0].Secrets = []string{"NPM_TOKEN"}
	d.Stages[0].Commands = append(d.Stages[0].Commands, `echo "the token is $NPM_TOKEN"; test "$NPM_TOKEN" = s3cret-value`)
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	r.Secrets = map[string]string{"NPM_TOKEN": "s3cret-value", "OTHER": "x"}
	r.make(t, d, r.plan(t, d, "main", "", Prior{}))
	if r.said("s3cret") {
		t.Errorf("a secret is in the log: %v", r.log)
	}
	err := filepath.WalkDir(r.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "s3cret-value") {
			t.Errorf("a secret is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAtOnce: two makings of one release both succeed, also when the stages
// give other bytes each time.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{"reproducible": "true", "not reproducible": "head -c 16 /dev/urandom > built.txt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, d := shop(t)
			d.Stages[0].Commands = append(d.Stages[0].Commands, command)
			dir := filepath.Join(t.TempDir(), "store")
			r := newRig(t, dir)
			p := r.plan(t, d, "main", "", Prior{})
			digests := make([]string, 3)
			var group sync.WaitGroup
			for n := range digests {
				group.Go(func() {
					made, err := newRig(t, dir).Make(context.Background(), d, p)
					if err != nil {
						t.Error(err)
					}
					digests[n] = made.Digest
				})
			}
			group.Wait()
			for _, digest := range digests {
				if digest == "" || digest != digests[0] {
					t.Errorf("%v", digests)
				}
			}
		})
	}
}

const helperDir = "RELEASE_TEST_HELPER"

// TestMain runs the test binary as a second process that makes a release.
func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := helper(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func helper(dir string) error {
	d := pipeline.Definition{Name: "shop", Source: &pipeline.Source{Directory: &pipeline.DirectorySource{Path: filepath.Join(dir, "app")}},
		Stages: []pipeline.Stage{{Name: "build", Commands: []string{"head -c 16 /dev/urandom > built"}, Artifacts: []string{"built"}}}}
	st, err := store.Open(store.Config{Location: filepath.Join(dir, "store")})
	if err != nil {
		return err
	}
	s := &Service{Store: func(context.Context) (store.Store, error) { return st, nil }}
	o, _, err := s.Observe(context.Background(), Request{Definition: d})
	if err != nil {
		return err
	}
	p, err := Compute(Input{Definition: d, Observation: o})
	if err != nil {
		return err
	}
	made, err := s.Make(context.Background(), d, p)
	fmt.Println(made.Digest)
	return err
}

func TestProcessesAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app", "app.py"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	said := make([]string, 2)
	for n := range said {
		group.Go(func() {
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), helperDir+"="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			said[n] = string(out)
		})
	}
	group.Wait()
	if said[0] != said[1] || !strings.HasPrefix(said[0], "sha256:") {
		t.Errorf("%q", said)
	}
}

func TestMakeRefuses(t *testing.T) {
	t.Parallel()
	_, d := shop(t)
	dir := t.TempDir()
	r := newRig(t, filepath.Join(dir, "store"))
	p := r.plan(t, d, "main", "", Prior{})
	other := d
	other.Name = "other"
	if _, err := r.Make(context.Background(), other, p); err == nil || !strings.Contains(err.Error(), "another definition") {
		t.Errorf("%v", err)
	}
	// A store that cannot be written is noticed before anything is built.
	if err := os.WriteFile(filepath.Join(dir, "store"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var access *store.AccessError
	if _, err := r.Make(context.Background(), d, p); !errors.As(err, &access) || r.said("begins") {
		t.Errorf("%v, %v", err, r.log)
	}
}
