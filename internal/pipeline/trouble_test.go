// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package pipeline_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

func TestATimeoutEndsTheWholeStage(t *testing.T) {
	t.Parallel()
	_, failure := newRig(t, nil).fails(pipeline.Stage{Name: "a", Commands: []string{"echo started; sleep 1000 & sleep 1001"}, Timeout: "1s"})
	contains(t, failure.Error(), "after its timeout of 1s", "started", "longer timeout")
}

func TestCancellingEndsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r.options.Runner = func(pipeline.Stage) pipeline.Runner { return onStart{cancel} }
	result, err := r.run(ctx,
		pipeline.Stage{Name: "a", Commands: []string{"x"}, Retries: 3},
		pipeline.Stage{Name: "b", Needs: []string{"a"}, Commands: []string{"x"}})
	if !errors.Is(err, context.Canceled) || result.Checks["a"].Attempts != 1 || result.Checks["b"].Status != pipeline.Skipped {
		t.Errorf("%+v, %v", result.Checks, err)
	}
}

// onStart cancels as soon as a stage runs, and waits like a stage would.
type onStart struct{ cancel func() }

func (o onStart) RunStage(ctx context.Context, _ pipeline.StageRun, _ io.Writer) (pipeline.Exit, error) {
	o.cancel()
	<-ctx.Done()
	return pipeline.Exit{Code: -1}, ctx.Err()
}

func TestACommandThatDoesNotExist(t *testing.T) {
	t.Parallel()
	_, failure := newRig(t, nil).fails(pipeline.Stage{Name: "a", Commands: []string{"nosuchprogram --version"}})
	if failure.ExitCode != 127 {
		t.Errorf("%+v", failure)
	}
	contains(t, failure.Error(), `Install "nosuchprogram" where the pipeline runs`)
	_, failure = newRig(t, map[string]string{"script": "#!/bin/sh\n"}).fails(pipeline.Stage{Name: "a", Commands: []string{"./script"}})
	contains(t, failure.Error(), "executable bit")
}

func TestMissingArtifactsAndSecretsAreErrors(t *testing.T) {
	t.Parallel()
	_, failure := newRig(t, nil).fails(pipeline.Stage{Name: "a", Commands: []string{"true"}, Artifacts: []string{"dist/**"}})
	contains(t, failure.Error(), `no file matches the artifact "dist/**"`)
	_, err := newRig(t, nil).run(t.Context(), pipeline.Stage{Name: "a", Commands: []string{"true"}, Secrets: []string{"NOPE"}})
	contains(t, err.Error(), "stage.a.secrets", "NOPE")
}

func TestACheckoutThatFailsEndsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	gone := errors.New("the server is gone")
	r.options.Checkout = func(context.Context, string) error { return gone }
	_, err := r.run(t.Context(), pipeline.Stage{Name: "a", Commands: []string{"true"}, AllowFailure: true, Retries: 3})
	if !errors.Is(err, gone) {
		t.Errorf("error is %v", err)
	}
}

func TestMuchOutputIsKeptInBothItsEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.options.OutputLimit = 100_000
	noisy := "echo begin; yes 0123456789012345678 | head -n 50000; printf 'a\\rb\\033[31mred\\033[0m\\n'; exit 1"
	result, failure := r.fails(pipeline.Stage{Name: "a", Commands: []string{noisy}})
	out := r.output(result, "a")
	if len(out) > 100_100 {
		t.Errorf("%d bytes are kept", len(out))
	}
	contains(t, out, "begin", "bytes left out", "red")
	if last := failure.LogTail[len(failure.LogTail)-1]; last != "bred" || len(failure.LogTail) != 20 {
		t.Errorf("%d lines, the last is %q", len(failure.LogTail), last)
	}
}

func TestARunnerMayBeSomebodyElses(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"a": "b"})
	r.options.Secrets = map[string]string{"TOKEN": "s3cr3t"}
	remote := &recorder{}
	r.options.Runner = func(s pipeline.Stage) pipeline.Runner {
		if s.Name == "remote" {
			return remote
		}
		return nil
	}
	result := r.must(
		pipeline.Stage{Name: "remote", Commands: []string{"anything", "at all"}, Secrets: []string{"TOKEN"}, Artifacts: []string{"made"}},
		pipeline.Stage{Name: "local", Needs: []string{"remote"}, Commands: []string{"cat made"}},
	)
	contains(t, r.output(result, "local"), "made there")
	contains(t, r.output(result, "remote"), "it says [redacted]")
	got := remote.run
	if got.Stage != "remote" || len(got.Commands) != 2 || got.Secrets["TOKEN"] != "s3cr3t" || got.Environment["CI"] != "true" || got.Environment["TOKEN"] != "" {
		t.Errorf("%+v", got)
	}
}

type recorder struct {
	mu  sync.Mutex
	run pipeline.StageRun
}

func (r *recorder) RunStage(_ context.Context, run pipeline.StageRun, output io.Writer) (pipeline.Exit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run = run
	_, _ = io.WriteString(output, "it says s3c")
	_, _ = io.WriteString(output, "r3t\n")
	return pipeline.Exit{}, os.WriteFile(filepath.Join(run.Workspace, "made"), []byte("made there"), 0o644)
}
