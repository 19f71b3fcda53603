// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func specOf(release string) Spec {
	return Spec{
		Target:    Target{Environment: "production", Name: "api", Deployer: "ssh", Config: json.RawMessage(`{"path":"/srv/api"}`)},
		ReleaseID: release,
		Strategy:  rollout.Rolling{MaxParallel: rollout.Count(1)},
	}
}

func wantedOf(spec Spec, instances ...deployer.DesiredInstance) Wanted {
	w := Wanted{Validation: deployer.Validation{Instances: instances}, RevisionConfig: json.RawMessage(`{}`)}
	if !spec.RevisionUnknown {
		w.RevisionID = RevisionID(spec, w.RevisionConfig)
	}
	return w
}

func host(id string) deployer.DesiredInstance {
	return deployer.DesiredInstance{ID: id, Address: "10.0.0." + id, Place: "10.0.0." + id + ":22/srv/api"}
}

func healthy(spec Spec, ids ...string) State {
	s := State{Instances: map[string]Instance{}, RunningReleaseID: spec.ReleaseID}
	for _, id := range ids {
		s.Instances[id] = Instance{Release: spec.ReleaseID, Revision: wantedOf(spec).RevisionID, Health: HealthHealthy, Address: "10.0.0." + id}
	}
	return s
}

func TestCompute(t *testing.T) {
	t.Parallel()
	old, next := specOf("shop:1.0.0"), specOf("shop:1.1.0")
	owned := Private{Owner: "o", Places: map[string]string{"1": host("1").Place, "2": host("2").Place}}
	drifted := healthy(old, "1", "2")
	drifted.Instances["2"] = Instance{Release: "shop:0.9.0", Revision: "x", Health: HealthHealthy, Address: "10.0.0.2"}
	unknown := next
	unknown.RevisionUnknown = true
	for name, c := range map[string]struct {
		spec    Spec
		desired []deployer.DesiredInstance
		known   State
		private Private
		batches [][]string
		changes bool
		moves   []string
	}{
		"first deployment":      {next, []deployer.DesiredInstance{host("1"), host("2")}, State{}, Private{}, [][]string{{"1"}, {"2"}}, true, nil},
		"nothing to do":         {old, []deployer.DesiredInstance{host("1"), host("2")}, healthy(old, "1", "2"), owned, nil, false, nil},
		"new release":           {next, []deployer.DesiredInstance{host("1"), host("2")}, healthy(old, "1", "2"), owned, [][]string{{"1"}, {"2"}}, true, nil},
		"drift on one":          {old, []deployer.DesiredInstance{host("1"), host("2")}, drifted, owned, [][]string{{"2"}}, true, nil},
		"one more":              {old, []deployer.DesiredInstance{host("1"), host("2"), host("3")}, healthy(old, "1", "2"), owned, [][]string{{"3"}}, true, nil},
		"one less":              {old, []deployer.DesiredInstance{host("1")}, healthy(old, "1", "2"), owned, nil, true, nil},
		"adoption":              {old, []deployer.DesiredInstance{host("1")}, healthy(old, "1"), Private{}, nil, true, nil},
		"unknown revision":      {unknown, []deployer.DesiredInstance{host("1")}, healthy(old, "1"), owned, [][]string{{"1"}}, true, nil},
		"another place":         {old, []deployer.DesiredInstance{{ID: "1", Address: "10.0.0.1", Place: "elsewhere"}}, healthy(old, "1"), owned, [][]string{{"1"}}, true, []string{"1"}},
		"address not known":     {old, []deployer.DesiredInstance{{ID: "1", AddressUnknown: true}}, healthy(old, "1"), owned, [][]string{{"1"}}, true, nil},
		"never known, no place": {old, []deployer.DesiredInstance{host("9")}, State{}, owned, [][]string{{"9"}}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Compute(c.spec, wantedOf(c.spec, c.desired...), c.known, c.private)
			if !slices.EqualFunc(got.Batches, c.batches, slices.Equal) || got.Changes != c.changes || !slices.Equal(got.Moves, c.moves) {
				t.Errorf("batches %v, changes %v, moves %v; want %v, %v, %v", got.Batches, got.Changes, got.Moves, c.batches, c.changes, c.moves)
			}
			if len(got.Instances) != len(c.desired) {
				t.Errorf("planned instances %v", got.Instances)
			}
		})
	}
}

func TestRevisionID(t *testing.T) {
	t.Parallel()
	base := specOf("shop:1.2.3")
	id := RevisionID(base, json.RawMessage(`{}`))
	if want := "1.2.3-"; id[:6] != want || len(id) != 18 {
		t.Errorf("revision id %q", id)
	}
	seen := map[string]string{"base": id}
	for name, change := range map[string]func(*Spec) json.RawMessage{
		"release":   func(s *Spec) json.RawMessage { s.ReleaseID = "shop:1.2.4"; return json.RawMessage(`{}`) },
		"pipeline":  func(s *Spec) json.RawMessage { s.ReleaseID = "shap:1.2.3"; return json.RawMessage(`{}`) },
		"variables": func(s *Spec) json.RawMessage { s.Variables = map[string]string{"A": "1"}; return json.RawMessage(`{}`) },
		"secrets":   func(s *Spec) json.RawMessage { s.SecretsVersion = 2; return json.RawMessage(`{}`) },
		"config":    func(*Spec) json.RawMessage { return json.RawMessage(`{"shared":["x"]}`) },
	} {
		spec := base
		config := change(&spec)
		got := RevisionID(spec, config)
		for other, was := range seen {
			if was == got {
				t.Errorf("%s and %s have one id, %s", name, other, got)
			}
		}
		seen[name] = got
	}
	spec := base
	spec.Secrets = map[string]string{"DB": "another value"}
	spec.Strategy, spec.Revert = rollout.Rolling{MaxParallel: rollout.Count(9)}, rollout.Revert{Automatic: true}
	if got := RevisionID(spec, json.RawMessage(`{}`)); got != id {
		t.Errorf("secrets' values and the strategy are no part of a revision, but its id changed to %s", got)
	}
}

func FuzzRevisionID(f *testing.F) {
	allowed := regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)
	for _, seed := range []string{"shop:1.0.0", "shop:1.0.0+b_1", "a:", ":", "", "x:ÄÖ", "x:..", "x:" + string(make([]byte, 300))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, release string) {
		if id := RevisionID(Spec{ReleaseID: release}, nil); !allowed.MatchString(id) {
			t.Errorf("%q gives the revision id %q", release, id)
		}
	})
}

func TestMerge(t *testing.T) {
	t.Parallel()
	spec := specOf("shop:1.0.0")
	revision := deployer.RevisionInfo{ID: wantedOf(spec).RevisionID, ReleaseID: spec.ReleaseID, ArtifactDigest: "sha256:ab"}
	serving := func(h deployer.Health) []deployer.Slot {
		return []deployer.Slot{{Role: deployer.RoleServing, Revision: revision, Health: h, Since: time.Unix(0, 0)}}
	}
	instance := func(id string, slots []deployer.Slot) deployer.Instance {
		return deployer.Instance{ID: id, Desired: true, Address: "10.0.0." + id, Place: host(id).Place, Owner: "o", Slots: slots}
	}
	moved := instance("2", serving(deployer.HealthHealthy))
	moved.Drift = []deployer.Drift{{What: "current", Expected: "a", Actual: "b"}}
	down := instance("3", nil)
	down.Unreachable, down.Owner = "connection refused", ""
	known := healthy(spec, "1", "2", "3", "4")
	got := merge(deployer.TargetState{Owner: "o", Generation: 7, Instances: []deployer.Instance{
		instance("1", serving(deployer.HealthHealthy)), moved, down, {ID: "4", Desired: true, Address: "10.0.0.4"},
	}}, known, Private{Owner: "o", Generation: 3})
	want := map[string]Instance{
		"1": known.Instances["1"],
		"2": {Release: spec.ReleaseID, Revision: revision.ID, Health: HealthDrifted, Address: "10.0.0.2"},
		"3": known.Instances["3"],
		"4": {Health: HealthMissing, Address: "10.0.0.4"},
	}
	if diff := cmp.Diff(want, got.State.Instances); diff != "" {
		t.Error(diff)
	}
	if got.Private.Generation != 7 || !got.Reached || got.State.RunningReleaseID != "" {
		t.Errorf("generation %d, reached %v, running %q", got.Private.Generation, got.Reached, got.State.RunningReleaseID)
	}
	if len(got.Private.Notes) != 2 || got.Private.Notes[0].Instance != "2" || !got.Private.Notes[1].Unreachable {
		t.Errorf("notes %+v", got.Private.Notes)
	}
}

func TestMergeTombstones(t *testing.T) {
	t.Parallel()
	spec := specOf("shop:1.0.0")
	former := deployer.Instance{ID: "9", Place: "p9", Address: "10.0.0.9", Owner: "o", Slots: []deployer.Slot{{Role: deployer.RoleServing, Revision: deployer.RevisionInfo{ID: "r", ReleaseID: "shop:0.9.0"}, Health: deployer.HealthHealthy}}}
	private := Private{Owner: "o", Tombstones: []Tombstone{{Target: spec.Target, Instance: "9", Place: "p9"}}}
	for name, c := range map[string]struct {
		change func(*deployer.Instance)
		stays  bool
		shown  bool
	}{
		"answers and still runs it": {func(*deployer.Instance) {}, true, true},
		"still cannot be reached":   {func(i *deployer.Instance) { i.Unreachable, i.Owner, i.Slots = "timeout", "", nil }, true, false},
		"is empty":                  {func(i *deployer.Instance) { i.Owner, i.Slots = "", nil }, false, false},
		"is somebody else's now":    {func(i *deployer.Instance) { i.Owner = "x" }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := former
			c.change(&i)
			got := merge(deployer.TargetState{Instances: []deployer.Instance{i}}, State{}, private)
			_, shown := got.State.Instances["9"]
			if shown != c.shown || (len(got.Private.Tombstones) == 1) != c.stays {
				t.Errorf("shown %v, tombstones %v", shown, got.Private.Tombstones)
			}
		})
	}
}

// A rollout that does not look at a removed instance does not forget it.
func TestMergeKeepsTombstonesThatNobodyLookedAt(t *testing.T) {
	t.Parallel()
	private := Private{Owner: "o", Tombstones: []Tombstone{{Instance: "9", Place: "p9"}}}
	if got := merge(deployer.TargetState{Instances: []deployer.Instance{{ID: "1", Desired: true}}}, State{}, private); len(got.Private.Tombstones) != 1 {
		t.Errorf("tombstones %v", got.Private.Tombstones)
	}
}
