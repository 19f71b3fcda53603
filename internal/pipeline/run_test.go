// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

// rig runs pipelines over a small checkout.
type rig struct {
	t       *testing.T
	files   map[string]string
	options pipeline.Options
	waits   []time.Duration
}

func newRig(t *testing.T, files map[string]string) *rig {
	r := &rig{t: t, files: files}
	r.options = pipeline.Options{
		Dir: t.TempDir(),
		Checkout: func(_ context.Context, dir string) error {
			for name, content := range r.files {
				full := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
					return err
				}
			}
			return nil
		},
		Commit: "c0ffee", Version: "1.2.3", Parallel: 4,
		Sleep: func(_ context.Context, d time.Duration) error { r.waits = append(r.waits, d); return nil },
	}
	return r
}

func (r *rig) run(ctx context.Context, stages ...pipeline.Stage) (pipeline.Result, error) {
	source := &pipeline.Source{Directory: &pipeline.DirectorySource{Path: "."}}
	return pipeline.Run(ctx, pipeline.Definition{Name: "shop", Source: source, Stages: stages}, r.options)
}

// must runs stages that must pass.
func (r *rig) must(stages ...pipeline.Stage) pipeline.Result {
	r.t.Helper()
	result, err := r.run(r.t.Context(), stages...)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// fails runs stages of which one must fail.
func (r *rig) fails(stages ...pipeline.Stage) (pipeline.Result, *pipeline.StageError) {
	r.t.Helper()
	result, err := r.run(r.t.Context(), stages...)
	var failure *pipeline.StageError
	if !errors.As(err, &failure) {
		r.t.Fatalf("error is %v", err)
	}
	if result.Overlay != "" {
		r.t.Error("a failed run has an overlay")
	}
	return result, failure
}

func (r *rig) output(result pipeline.Result, stage string) string {
	r.t.Helper()
	for _, report := range slices.Backward(result.Reports) {
		if report.Stage == stage && report.Kind == pipeline.ReportOutput {
			data, err := os.ReadFile(report.Path)
			if err != nil {
				r.t.Fatal(err)
			}
			return string(data)
		}
	}
	r.t.Fatalf("no output of %s in %v", stage, result.Reports)
	return ""
}

func contains(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, one := range all {
		if !strings.Contains(text, one) {
			t.Errorf("%q is not in:\n%s", one, text)
		}
	}
}

func TestAStageSeesItsEnvironmentAndLittleElse(t *testing.T) {
	t.Setenv("NOT_FOR_STAGES", "leaked")
	r := newRig(t, map[string]string{"a.txt": "from the checkout"})
	r.options.Secrets = map[string]string{"TOKEN": "s3cr3t-value", "OTHER": "not-asked-for"}
	result := r.must(pipeline.Stage{
		Name:                 "test",
		Commands:             []string{"env", "cat a.txt", "cd /; pwd", "pwd; test -d $TMPDIR; test ! -t 0"},
		EnvironmentVariables: map[string]string{"MINE": "yes"}, Secrets: []string{"TOKEN"},
	})
	out := r.output(result, "test")
	contains(t, out, "CI=true", "DELIVERY_COMMIT=c0ffee", "DELIVERY_VERSION=1.2.3", "DELIVERY_PIPELINE=shop", "DELIVERY_STAGE=test",
		"MINE=yes", "TOKEN=[redacted]", "PATH=", "HOME=", "LANG=", "TMPDIR="+r.options.Dir, "from the checkout", "$ cat a.txt",
		r.options.Dir+"/stages/test/1/work\n")
	for _, bad := range []string{"NOT_FOR_STAGES", "s3cr3t-value", "not-asked-for"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q is in:\n%s", bad, out)
		}
	}
	if check := result.Checks["test"]; check.Status != pipeline.Passed || check.Attempts != 1 || check.Duration <= 0 {
		t.Errorf("%+v", check)
	}
	if left, _ := os.ReadDir(filepath.Join(r.options.Dir, "stages/test/1")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestArtifactsGoToTheStagesThatNeedThemAndIntoTheOverlay(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"src.txt": "source"})
	result := r.must(
		pipeline.Stage{
			Name:      "build",
			Commands:  []string{"mkdir -p dist/sub; cp src.txt dist/sub/app; chmod +x dist/sub/app; ln -s sub/app dist/link; echo x > junk"},
			Artifacts: []string{"dist"},
		},
		pipeline.Stage{
			Name: "test", Needs: []string{"build"},
			Commands:  []string{"test -x dist/sub/app && test -L dist/link && test ! -e junk", "echo changed > dist/sub/app", "mkdir out; echo more > out/x"},
			Artifacts: []string{"out/*", "dist/sub/app"},
		},
		pipeline.Stage{Name: "alone", Commands: []string{"test ! -e dist"}},
	)
	for name, want := range map[string]string{"src.txt": "source", "dist/sub/app": "changed\n", "dist/link": "changed\n", "out/x": "more\n"} {
		if data, err := os.ReadFile(filepath.Join(result.Overlay, name)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := os.Stat(filepath.Join(result.Overlay, "junk")); err == nil {
		t.Error("junk is in the overlay")
	}
}

func TestStagesMayNotDisagreeAboutAnArtifact(t *testing.T) {
	t.Parallel()
	same := pipeline.Stage{Name: "c", Commands: []string{"echo a > same"}, Artifacts: []string{"same"}}
	newRig(t, nil).must(pipeline.Stage{Name: "a", Commands: []string{"echo a > same"}, Artifacts: []string{"same"}}, same)
	_, err := newRig(t, nil).run(t.Context(), pipeline.Stage{Name: "a", Commands: []string{"echo b > same"}, Artifacts: []string{"same"}}, same)
	if err == nil || !strings.Contains(err.Error(), `"a" and "c" both made the artifact "same"`) {
		t.Errorf("error is %v", err)
	}
}

func TestIndependentStagesRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	meet := t.TempDir()
	// Each waits for the other: one after the other would run into the timeout.
	wait := "touch " + meet + "/$DELIVERY_STAGE; until [ -e " + meet + "/$OTHER ]; do sleep 0.01; done"
	r.must(
		pipeline.Stage{Name: "a", Commands: []string{wait}, EnvironmentVariables: map[string]string{"OTHER": "b"}, Timeout: "1m"},
		pipeline.Stage{Name: "b", Commands: []string{wait}, EnvironmentVariables: map[string]string{"OTHER": "a"}, Timeout: "1m"},
	)
}

func TestAFailedStageStopsThoseThatNeedIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	result, failure := r.fails(
		pipeline.Stage{Name: "a", Commands: []string{"echo first", "echo the reason >&2; exit 3", "echo never"}},
		pipeline.Stage{Name: "b", Needs: []string{"a"}, Commands: []string{"true"}},
		pipeline.Stage{Name: "c", Needs: []string{"b"}, Commands: []string{"true"}},
		pipeline.Stage{Name: "d", Commands: []string{"true"}},
	)
	if failure.Stage != "a" || failure.ExitCode != 3 || !strings.Contains(failure.Command, "exit 3") {
		t.Errorf("%+v", failure)
	}
	contains(t, failure.Error(), `stage "a"`, "status 3", "the reason")
	for name, want := range map[string]pipeline.Status{"a": pipeline.Failed, "b": pipeline.Skipped, "c": pipeline.Skipped, "d": pipeline.Passed} {
		if got := result.Checks[name].Status; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if out := r.output(result, "a"); strings.Contains(out, "never") {
		t.Error("a command ran after one that failed")
	}
}

func TestAllFailuresAreTold(t *testing.T) {
	t.Parallel()
	_, err := newRig(t, nil).run(t.Context(), pipeline.Stage{Name: "a", Commands: []string{"exit 1"}}, pipeline.Stage{Name: "b", Commands: []string{"exit 2"}})
	contains(t, err.Error(), `stage "a"`, `stage "b"`)
}

func TestAnAllowedFailureStopsNothing(t *testing.T) {
	t.Parallel()
	result := newRig(t, nil).must(
		pipeline.Stage{Name: "lint", Commands: []string{"exit 1"}, AllowFailure: true, Artifacts: []string{"none"}},
		pipeline.Stage{Name: "test", Needs: []string{"lint"}, Commands: []string{"true"}},
	)
	if result.Checks["lint"].Status != pipeline.AllowedFailure || result.Checks["test"].Status != pipeline.Passed {
		t.Errorf("%+v", result.Checks)
	}
}

func TestAStageIsTriedAgainInACleanCheckout(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	count := filepath.Join(t.TempDir(), "count")
	flaky := "test ! -e dirt && touch dirt && echo x >> " + count + " && test $(wc -l < " + count + ") -eq 3"
	result := r.must(pipeline.Stage{Name: "a", Commands: []string{flaky}, Retries: 5})
	if result.Checks["a"].Attempts != 3 || !slices.Equal(r.waits, []time.Duration{time.Second, 2 * time.Second}) {
		t.Errorf("%+v, waits %v", result.Checks["a"], r.waits)
	}
	if len(result.Reports) != 3 {
		t.Errorf("outputs: %v", result.Reports)
	}
	_, failure := newRig(t, nil).fails(pipeline.Stage{Name: "a", Commands: []string{"exit 1"}, Retries: 1})
	contains(t, failure.Error(), "(attempt 2)")
}
