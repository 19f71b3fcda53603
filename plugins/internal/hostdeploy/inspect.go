// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const inspectTimeout = 20 * time.Second

// Inspect implements [deployer.Core].
func (d *Deployer) Inspect(ctx context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	sites, err := d.sites(req.Target, req.Previous)
	if err != nil {
		return deployer.TargetState{}, err
	}
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = inspectTimeout
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	seen := make([]observation, len(sites))
	each(sites, func(n int, s *site) error {
		seen[n] = s.observe(bounded)
		return nil
	})
	if ctx.Err() != nil {
		return deployer.TargetState{}, stopped(ctx)
	}
	return aggregate(seen), nil
}

// observation is what one machine said.
type observation struct {
	instance   deployer.Instance
	generation int64
	lastGood   *deployer.Entry
	entries    []deployer.Entry
}

func (s *site) observe(ctx context.Context) observation {
	ans, err := s.ask(ctx, "inspect")
	o := s.observation()
	if err != nil {
		e := deployer.AsError(err)
		o.instance.Unreachable = e.Message
		if e.Advice != "" {
			o.instance.Unreachable += ". " + e.Advice
		}
		return o
	}
	o.read(s, ans)
	return o
}

// observation is one of which nothing is known yet.
func (s *site) observation() observation {
	return observation{instance: deployer.Instance{
		ID: s.id, Scope: "hosts", Order: s.order, Desired: s.desired, Address: s.address, Place: s.place,
	}}
}

func (o *observation) read(s *site, ans answer) {
	i := &o.instance
	i.Owner, _ = ans.get("owner")
	generation, _ := ans.get("generation")
	o.generation, _ = strconv.ParseInt(generation, 10, 64)
	o.entries = parseEntries(ans.sections["entries"])
	if lines := ans.sections["last_good"]; len(lines) > 1 {
		if e, ok := parseEntry(lines[1]); ok {
			o.lastGood = &e
		}
	}
	infos := map[string]deployer.RevisionInfo{}
	for _, e := range o.entries {
		infos[e.To.ID] = e.To
	}
	if o.lastGood != nil {
		infos[o.lastGood.To.ID] = o.lastGood.To
	}
	for _, line := range ans.sections["revisions"] {
		var info deployer.RevisionInfo
		if json.Unmarshal([]byte(line), &info) == nil && revisionID.MatchString(info.ID) {
			infos[info.ID] = info
		}
	}
	info := func(id string) deployer.RevisionInfo {
		known := infos[id]
		known.ID = id
		return known
	}
	releases := map[string]bool{} // by revision: complete
	for _, r := range ans.all("release") {
		id, how, _ := strings.Cut(r, " ")
		if revisionID.MatchString(id) {
			releases[id] = how == "complete"
			if how == "complete" {
				s.machine.note(s.root, id)
			}
		}
	}
	o.slots(ans, releases, info)
}

// slots tells what serves, what is kept, and what is not as it was left.
func (o *observation) slots(ans answer, releases map[string]bool, info func(string) deployer.RevisionInfo) {
	i := &o.instance
	drift := func(what, expected, actual string) {
		i.Drift = append(i.Drift, deployer.Drift{What: what, Expected: expected, Actual: actual})
	}
	link, linked := ans.get("current")
	points := path.Base(link)
	if link != "releases/"+points || !revisionID.MatchString(points) {
		points = ""
	}
	if blocked, ok := ans.get("blocked"); ok {
		drift("path", "a directory of this deployment", blocked)
	}
	v := parseService(ans)
	serves := v.revision()
	if serves == "" {
		serves = points
	}
	if ans.has("deployment") && (v.kind != "" || o.lastGood != nil) && points != serves || linked && points == "" {
		actual := "no link"
		if linked {
			actual = link
		}
		drift("current", "releases/"+serves, actual)
	}
	if serves != "" {
		slot := deployer.Slot{Role: deployer.RoleServing, Revision: info(serves), Share: 1000, Since: v.since}
		slot.Health, slot.Detail = v.health()
		complete, there := releases[serves]
		switch {
		case !there:
			slot.Incomplete, slot.Health, slot.Detail = true, deployer.HealthMissing, "its release is gone"
			drift("release", "releases/"+serves, "missing")
		case !complete:
			slot.Incomplete, slot.Health, slot.Detail = true, deployer.HealthMissing, "its release is damaged"
			drift("release", "releases/"+serves+" whole", "damaged")
		case slot.Health == deployer.HealthStopped:
			drift("service", "running", "stopped: "+slot.Detail)
		case v.kind == "supervised" && v.runs != "" && !v.supervised:
			drift("service", "supervised", "running without its supervisor")
		}
		i.Slots = append(i.Slots, slot)
	}
	var kept []deployer.Slot
	for id, complete := range releases {
		if id != serves {
			kept = append(kept, deployer.Slot{Role: deployer.RoleRetired, Revision: info(id), Incomplete: !complete})
		}
	}
	slices.SortFunc(kept, func(a, b deployer.Slot) int { return cmp.Compare(a.Revision.ID, b.Revision.ID) })
	i.Slots = append(i.Slots, kept...)
}

// aggregate makes one target of what all machines said. The newest entry of any
// ledger decides.
func aggregate(seen []observation) deployer.TargetState {
	var state deployer.TargetState
	var ledgers [][]deployer.Entry
	var good *deployer.Entry
	for _, o := range seen {
		state.Instances = append(state.Instances, o.instance)
		ledgers = append(ledgers, o.entries)
		if o.generation > state.Generation {
			state.Generation = o.generation
		}
		if o.lastGood != nil && (good == nil || newer(*o.lastGood, *good)) {
			good = o.lastGood
		}
	}
	entries := merge(ledgers)
	if len(entries) > 0 {
		state.Owner = entries[0].Owner
		state.Generation = max(state.Generation, entries[0].Generation)
	}
	for _, o := range seen {
		if state.Owner == "" {
			state.Owner = o.instance.Owner
		}
	}
	for _, e := range entries {
		if succeeded(e) && (good == nil || newer(e, *good)) {
			good = &e
		}
	}
	if good != nil {
		state.LastGood = &good.To
	}
	state.Unfinished = unfinished(entries)
	state.Failed = failed(entries)
	return state
}

func newer(a, b deployer.Entry) bool {
	return cmp.Or(cmp.Compare(a.Generation, b.Generation), a.Time.Compare(b.Time)) > 0
}

func succeeded(e deployer.Entry) bool {
	return e.Phase == deployer.PhaseEnd && e.Outcome == deployer.OutcomeSucceeded && e.Operation.Kind != deployer.OperationRemove
}

// unfinished is the newest operation, if it has begun and not ended.
func unfinished(newestFirst []deployer.Entry) *deployer.Operation {
	if len(newestFirst) == 0 || newestFirst[0].Phase == deployer.PhaseEnd {
		return nil
	}
	newest := newestFirst[0].Operation
	for _, e := range newestFirst {
		if e.Phase == deployer.PhaseEnd && e.Operation.ID == newest.ID {
			return nil
		}
	}
	return &newest
}

// failed lists the revisions whose last attempt did not hold.
func failed(newestFirst []deployer.Entry) []deployer.FailedRevision {
	judged := map[string]bool{}
	var out []deployer.FailedRevision
	for _, e := range newestFirst {
		if e.Phase != deployer.PhaseEnd || judged[e.To.ID] || e.Outcome == deployer.OutcomeCancelled || e.Operation.Kind == deployer.OperationRemove {
			continue
		}
		judged[e.To.ID] = true
		if e.Outcome != deployer.OutcomeSucceeded {
			out = append(out, deployer.FailedRevision{Revision: e.To, Reason: cmp.Or(e.Reason, fmt.Sprintf("ended as %s", e.Outcome)), Operation: e.Operation.ID, Time: e.Time})
		}
	}
	return out
}
