// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func entry(generation int64, operation, phase, revision string, outcome deployer.Outcome) deployer.Entry {
	return deployer.Entry{
		Schema: 1, Phase: phase, Operation: deployer.Operation{ID: operation}, Owner: "o-" + operation, Generation: generation,
		Time: time.Unix(1e9+generation, 0), To: deployer.RevisionInfo{ID: revision}, Outcome: outcome,
	}
}

// TestTheNewestLedgerDecides puts together what hosts say that were not always
// all reachable.
func TestTheNewestLedgerDecides(t *testing.T) {
	t.Parallel()
	begin, end, ok, bad := deployer.PhaseBegin, deployer.PhaseEnd, deployer.OutcomeSucceeded, deployer.OutcomeReverted
	first := []deployer.Entry{entry(1, "a", begin, "r1", ""), entry(2, "a", end, "r1", ok)}
	second := []deployer.Entry{entry(3, "b", begin, "r2", ""), entry(4, "b", end, "r2", bad)}
	all := append(append([]deployer.Entry{}, first...), second...)
	at := func(entries ...deployer.Entry) observation {
		o := observation{entries: entries}
		for _, e := range entries {
			o.generation, o.instance.Owner = e.Generation, e.Owner
			if succeeded(e) {
				o.lastGood = &e
			}
		}
		return o
	}
	for name, c := range map[string]struct {
		seen       []observation
		owner      string
		generation int64
		good       string
		unfinished string
		failed     int
	}{
		"nothing":                         {[]observation{{}}, "", 0, "", "", 0},
		"begun":                           {[]observation{at(first[0]), {}}, "o-a", 1, "", "a", 0},
		"good":                            {[]observation{at(first...), at(first...)}, "o-a", 2, "r1", "", 0},
		"one host missed the end":         {[]observation{at(first[0]), at(first...)}, "o-a", 2, "r1", "", 0},
		"one host missed all of the next": {[]observation{at(first...), at(all...)}, "o-b", 4, "r1", "", 1},
		"the next has begun somewhere":    {[]observation{at(first...), at(all[:3]...)}, "o-b", 3, "r1", "b", 0},
	} {
		state := aggregate(c.seen)
		good, unfinished := "", ""
		if state.LastGood != nil {
			good = state.LastGood.ID
		}
		if state.Unfinished != nil {
			unfinished = state.Unfinished.ID
		}
		if state.Owner != c.owner || state.Generation != c.generation || good != c.good || unfinished != c.unfinished || len(state.Failed) != c.failed {
			t.Errorf("%s: %+v (good %q, unfinished %q)", name, state, good, unfinished)
		}
	}
}
