// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
)

// checkTime refuses an update that is told to wait for longer than it may take,
// before anybody has waited for that.
func (m deploymentModel) checkTime(ctx context.Context, d Diagnostics) {
	if update, ok := m.Timeouts.Attributes()["update"]; m.Timeouts.IsUnknown() || ok && update.IsUnknown() {
		return
	}
	limit, diags := m.Timeouts.Update(ctx, defaultRolloutTimeout)
	d.Append(diags...)
	waits := leastTime(m.strategy(ctx, d).translate(ctx, 0, d), m.analyses(ctx, d))
	if waits >= limit {
		d.Invalid(path.Root("timeouts").AtName("update"), "Less time than an update waits", fmt.Sprintf(
			"The strategy and its analyses wait for %s at least, and an update may take %s in all: set update in the block timeouts to more than that, or shorten the pauses.", waits, limit))
	}
}

// leastTime is how long a rollout takes if everything it does takes no time.
func leastTime(strategy rollout.Strategy, analyses []analysis.Criterion) time.Duration {
	gate := func(names []string) time.Duration {
		var longest time.Duration
		for _, a := range analyses {
			if names == nil || slices.Contains(names, a.Name) {
				longest = max(longest, a.InitialDelay+time.Duration(a.Count-1)*a.Interval)
			}
		}
		return longest
	}
	least := gate(nil)
	switch s := strategy.(type) {
	case rollout.Rolling:
		least += s.MinHealthyTime
	case rollout.AllAtOnce:
		least += s.MinHealthyTime
	case rollout.BlueGreen:
		least += s.MinHealthyTime + s.KeepOld
	case rollout.Canary:
		least += s.MinHealthyTime
		for _, step := range s.Steps {
			least += step.Pause + gate(step.Analyses)
		}
	}
	return least
}
