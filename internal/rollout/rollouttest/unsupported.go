// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollouttest

import (
	"context"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Configure does nothing.
func (f *Fleet) Configure(context.Context, deployer.ConfigureRequest) error { return nil }

// Preview finds nothing.
func (f *Fleet) Preview(context.Context, deployer.PreviewRequest) (deployer.Preview, error) {
	return deployer.Preview{}, nil
}

// Stage is not supported.
func (f *Fleet) Stage(context.Context, deployer.StageRequest, deployer.EventSink) (deployer.Result, error) {
	return deployer.Result{}, unsupported("stage")
}

// Retire is not supported.
func (f *Fleet) Retire(context.Context, deployer.RetireRequest, deployer.EventSink) (deployer.Result, error) {
	return deployer.Result{}, unsupported("retire")
}

// Shift is not supported.
func (f *Fleet) Shift(context.Context, deployer.ShiftRequest) (deployer.Result, error) {
	return deployer.Result{}, unsupported("shift")
}

// Logs is not supported.
func (f *Fleet) Logs(context.Context, deployer.LogsRequest, func(string) error) error {
	return unsupported("logs")
}

// Run is not supported.
func (f *Fleet) Run(context.Context, deployer.RunRequest, deployer.EventSink) (deployer.RunResult, error) {
	return deployer.RunResult{}, unsupported("run")
}

// RunStage is not supported.
func (f *Fleet) RunStage(context.Context, deployer.RunStageRequest, deployer.EventSink) (deployer.RunResult, error) {
	return deployer.RunResult{}, unsupported("run_stage")
}

func unsupported(what string) error {
	return deployer.Errorf(deployer.CodeUnsupported, "a fleet in memory has no %s", what)
}
