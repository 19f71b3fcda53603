// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
)

// explainRollout passes on the engine's own report, which has the logs and the
// advice where they belong.
func explainRollout(err error) (Explanation, bool) {
	var e *rollout.Error
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	x := Explanation{Message: err.Error()}
	if len(e.Failures) == 1 {
		x.Path = e.Failures[0].Err.Path
	}
	return x, true
}
