// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"reflect"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var (
	needRecord = []deployer.Capability{deployer.CanRecord}
	needPrune  = []deployer.Capability{deployer.CanRecord, deployer.CanPrune, deployer.CanPrepare}
)

// ledgerChecks are about the ledger and retention.
var ledgerChecks = []check{
	{"Record/a_success_is_last_good", needRecord, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		state := r.inspect()
		if state.LastGood == nil || state.LastGood.ID != "r1" || state.Unfinished != nil || state.Owner != r.owner {
			r.Errorf("after a success: last good %+v, unfinished %+v, owner %q", state.LastGood, state.Unfinished, state.Owner)
		}
		if state.Generation != r.generation {
			r.Errorf("generation %d, want %d", state.Generation, r.generation)
		}
		r.deploy("r2", deployer.OutcomeFailed)
		state = r.inspect()
		if state.LastGood == nil || state.LastGood.ID != "r1" {
			r.Errorf("after a failure the last good is %+v", state.LastGood)
		}
		if !slices.ContainsFunc(state.Failed, func(f deployer.FailedRevision) bool { return f.Revision.ID == "r2" && f.Reason != "" }) {
			r.Errorf("the failed revision and its reason are not among %+v", state.Failed)
		}
	}},
	{"Record/what_began_and_did_not_end_is_unfinished", needRecord, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationUpdate)
		revision := r.revision("r2")
		r.lock()
		r.record(deployer.PhaseBegin, revision.RevisionInfo, "")
		r.unlock()
		if state := r.inspect(); state.Unfinished == nil || state.Unfinished.ID != r.operation.ID {
			r.Errorf("unfinished is %+v, want %s", state.Unfinished, r.operation.ID)
		}
		r.lock()
		r.record(deployer.PhaseEnd, revision.RevisionInfo, deployer.OutcomeCancelled)
		r.unlock()
		if state := r.inspect(); state.Unfinished != nil {
			r.Errorf("after its end it is still unfinished: %+v", state.Unfinished)
		}
	}},
	{"Record/the_whole_story_is_kept", needRecord, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.begin(deployer.OperationUpdate)
		revision := r.revision("r2")
		r.lock()
		begin := r.entry(deployer.PhaseBegin, revision.RevisionInfo, "")
		begin.Strategy, begin.From = "canary", map[string]string{r.first(): "r1"}
		r.tell(begin)
		end := r.entry(deployer.PhaseEnd, revision.RevisionInfo, deployer.OutcomeReverted)
		end.Strategy, end.From = begin.Strategy, begin.From
		end.Reason = "the check \"GET /\" failed:\n\t500 – no 'database'"
		at := begin.Time
		end.Steps = []deployer.EntryStep{
			{Name: "prepare", Instances: []string{r.first()}, Started: at, Ended: at.Add(1500 * time.Millisecond)},
			{Name: "switch", Instances: []string{r.first()}, Started: at.Add(2 * time.Second), Ended: at.Add(3 * time.Second), Error: end.Reason},
			{Name: "pause", Started: at.Add(4 * time.Second), Ended: at.Add(5 * time.Second)},
		}
		r.tell(end)
		r.unlock()
		r.deployer = connect(r.T, r.config)
		for n, e := range r.history(deployer.HistoryRequest{Limit: 2}) {
			if want := []deployer.Entry{end, begin}[n]; !reflect.DeepEqual(e, want) {
				r.Errorf("entry %d is\n%+v\nand was recorded as\n%+v", n, e, want)
			}
		}
	}},
	{"History/is_newest_first", needRecord, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.deploy("r2", deployer.OutcomeSucceeded)
		entries := r.history(deployer.HistoryRequest{})
		if len(entries) != 4 {
			r.Fatalf("%d entries, want 4", len(entries))
		}
		for i, e := range entries {
			if want := r.generation - int64(i); e.Generation != want || e.Owner != r.owner || e.Operation.Actor != r.operation.Actor {
				r.Errorf("entry %d is %+v, want generation %d", i, e, want)
			}
		}
		if e := entries[0]; e.Phase != deployer.PhaseEnd || e.Outcome != deployer.OutcomeSucceeded || e.To.ID != "r2" || e.Runs[r.first()] != "r2" {
			r.Errorf("the last entry is %+v", e)
		}
		if one := r.history(deployer.HistoryRequest{Limit: 1}); len(one) != 1 || one[0].Generation != r.generation {
			r.Errorf("limited to one: %+v", one)
		}
		if future := r.history(deployer.HistoryRequest{Since: time.Now().Add(time.Hour)}); len(future) != 0 {
			r.Errorf("since the future: %+v", future)
		}
	}},
	{"Prune/keeps_what_serves_and_what_was_good", needPrune, func(r *rig) {
		for _, id := range []string{"r1", "r2", "r3"} {
			r.deploy(id, deployer.OutcomeSucceeded)
		}
		r.deploy("r4", deployer.OutcomeFailed)
		r.lock()
		_, err := r.deployer.Prune(r.ctx(), deployer.PruneRequest{Target: r.target, Owner: r.owner, Token: r.token, Keep: 1})
		r.must(err, "Prune")
		r.unlock()
		r.serves("r4", "after Prune")
		r.holds("r4", true, "after Prune, what serves")
		r.holds("r3", true, "after Prune, what was last good")
		r.holds("r1", false, "after Prune, what is old")
		r.lock()
		r.activate("r3")
		r.unlock()
		r.serves("r3", "after going back to the last good")
	}},
	{"Prune/everything_cleans_a_failed_first_deployment", needPrune, func(r *rig) {
		r.begin(deployer.OperationCreate)
		revision := r.revision("r1")
		r.lock()
		r.record(deployer.PhaseBegin, revision.RevisionInfo, "")
		r.prepare(revision)
		r.activate("r1")
		r.remove()
		_, err := r.deployer.Prune(r.ctx(), deployer.PruneRequest{Target: r.target, Owner: r.owner, Token: r.token, Everything: true})
		r.must(err, "Prune everything")
		r.unlock()
		if state := r.inspect(); state.Owner != "" || state.LastGood != nil || state.Unfinished != nil {
			r.Errorf("something is left: %+v", state)
		}
		r.empty("after Prune of everything")
	}},
}

func (r *rig) history(req deployer.HistoryRequest) []deployer.Entry {
	r.Helper()
	req.Target = r.target
	entries, err := r.deployer.History(r.ctx(), req)
	r.must(err, "History")
	return entries
}
