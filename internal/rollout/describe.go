// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// What Describe shows of a long list.
const (
	shownWaves = 10
	shownNames = 12
)

// Describe says in one sentence in which order Roll would switch instances, and
// what it would wait for; "" when there is nothing to switch. It is pure.
func Describe(desired []deployer.DesiredInstance, state deployer.TargetState, revision string, strategy Strategy) string {
	if strategy == nil {
		strategy = Rolling{}
	}
	waves := strategy.waves(len(desired), pendingIDs(desired, state, revision))
	if len(waves) == 0 {
		return ""
	}
	shares := strategy.shares()
	if shares == nil {
		return describeWaves(waves)
	}
	var parts []string
	for _, s := range shares {
		parts = append(parts, fmt.Sprintf("%d %% of the traffic%s", s.thousandths/10, s.gate.describe()))
	}
	parts = append(parts, "all traffic"+waves[len(waves)-1].gate.describe())
	return "staged on " + names(waves[0].ids) + " and checked there, then " + strings.Join(parts, ", then ") + "; what served before is retired last"
}

func describeWaves(waves []wave) string {
	var parts []string
	for n, w := range waves {
		if n == shownWaves && len(waves) > shownWaves+2 {
			parts = append(parts, fmt.Sprintf("… (%d batches in all)", len(waves)))
			break
		}
		parts = append(parts, names(w.ids)+w.gate.describe())
	}
	return strings.Join(parts, ", then ")
}

// describe says in brackets what a gate asks for.
func (g gate) describe() string {
	var parts []string
	if g.pause > 0 {
		parts = append(parts, "waits "+g.pause.String())
	}
	switch {
	case g.analyze && len(g.names) > 0:
		parts = append(parts, "analyses "+strings.Join(g.names, " and "))
	case g.analyze:
		parts = append(parts, "analyses")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func names(ids []string) string {
	if len(ids) > shownNames {
		return fmt.Sprintf("%s … %s (%d instances)", ids[0], ids[len(ids)-1], len(ids))
	}
	return strings.Join(ids, " + ")
}
