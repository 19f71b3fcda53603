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

// Logs is not supported.
func (f *Fleet) Logs(context.Context, deployer.LogsRequest, func(string) error) error {
	return unsupported("logs")
}

// RunStage is not supported.
func (f *Fleet) RunStage(context.Context, deployer.RunStageRequest, deployer.EventSink) (deployer.RunResult, error) {
	return deployer.RunResult{}, unsupported("run_stage")
}

func unsupported(what string) error {
	return deployer.Errorf(deployer.CodeUnsupported, "a fleet in memory has no %s", what)
}
