// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/release"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// mostCommits bounds how many commits an attribute lists.
const mostCommits = 100

// newDeploymentService joins what deployments need of the provider block.
func newDeploymentService(data *Data) *deployment.Service {
	return &deployment.Service{
		Deployers: data,
		Store:     data.Store,
		Commits: func(ctx context.Context, from, to store.Release) ([]deployment.Commit, error) {
			return commitsBetween(ctx, data, from, to)
		},
		Rebuild:  func(ctx context.Context, recipe json.RawMessage) error { return rebuild(ctx, data, recipe) },
		Progress: func(e rollout.Event) { logProgress(data, data.Redactor, e) },
	}
}

// rebuild makes a release again that an empty store does not have.
func rebuild(ctx context.Context, data *Data, raw json.RawMessage) error {
	var recipe release.Recipe
	if err := json.Unmarshal(raw, &recipe); err != nil {
		return fmt.Errorf("read the recipe of the release: %w", err)
	}
	definition, err := pipeline.Parse(recipe.Definition)
	if err != nil {
		return err
	}
	_, err = data.Releases().Make(ctx, definition, recipe.Planned)
	return err
}

// logProgress is what TF_LOG_PROVIDER=DEBUG shows of a rollout.
func logProgress(data *Data, redactor *Redactor, e rollout.Event) {
	message := e.Message
	if e.Kind == rollout.EventProgress {
		message = e.Progress.Phase + ": " + e.Progress.Line
	}
	fields := []any{"step", e.Step, "instance", e.Instance, "phase", e.Phase}
	if e.Err != nil {
		fields = append(fields, "error", redactor.Redact(e.Err.Error()))
	}
	data.Logger.Debug("rollout: "+redactor.Redact(message), fields...)
}

// commitsBetween asks the releases' repository what is new.
func commitsBetween(ctx context.Context, data *Data, from, to store.Release) ([]deployment.Commit, error) {
	if to.Source == "" || to.Source != from.Source || to.Commit == "" || from.Commit == "" {
		return nil, errors.New("the releases are not of one repository")
	}
	repository, err := source.OpenGit(ctx, source.Git{URL: to.Source}, data.Git)
	if err != nil {
		return nil, err
	}
	defer repository.Close()
	log, err := repository.Log(ctx, from.Commit, to.Commit, mostCommits)
	if err != nil {
		return nil, err
	}
	commits := make([]deployment.Commit, 0, len(log))
	for _, c := range log {
		commits = append(commits, deployment.Commit{SHA: c.SHA, Author: c.Author, Subject: c.Subject})
	}
	return commits, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
