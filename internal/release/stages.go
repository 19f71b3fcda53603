// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"io"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
)

// source gives what fills a directory with the planned files, and what cleans
// up behind it.
func (b *build) source(ctx context.Context) (checkout func(context.Context, string) error, done func() error, err error) {
	if d := b.definition.Source.Directory; d != nil {
		directory := source.Directory{Path: d.Path}
		return func(ctx context.Context, dir string) error {
			return directory.Copy(ctx, dir, b.planned.Content)
		}, func() error { return nil }, nil
	}
	repository, err := source.OpenGit(ctx, gitSource(b.definition), b.Credentials)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, dir string) error {
		return repository.Checkout(ctx, b.planned.Commit, dir)
	}, repository.Close, nil
}

// logged is who runs a stage, with a line in the log at its begin and end.
func (b *build) logged(stage pipeline.Stage) pipeline.Runner {
	var inner pipeline.Runner = pipeline.LocalRunner{}
	if b.Runner != nil {
		inner = b.Runner(stage)
	}
	return loggedRunner{inner, b}
}

type loggedRunner struct {
	inner pipeline.Runner
	build *build
}

func (r loggedRunner) RunStage(ctx context.Context, run pipeline.StageRun, output io.Writer) (pipeline.Exit, error) {
	r.build.logf("stage %s begins", run.Stage)
	begin := r.build.now()
	exit, err := r.inner.RunStage(ctx, run, output)
	took := r.build.now().Sub(begin).Round(time.Millisecond)
	if err != nil {
		r.build.logf("stage %s was stopped after %s", run.Stage, took)
	} else {
		r.build.logf("stage %s ended with status %d after %s", run.Stage, exit.Code, took)
	}
	return exit, err
}
