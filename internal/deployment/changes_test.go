// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// running is what Observe remembers of instances that run revisions.
func running(t *testing.T, specs map[string]Spec, configs map[string]string) (State, Private) {
	t.Helper()
	seen := deployer.TargetState{Owner: "o"}
	for id, spec := range specs {
		config := json.RawMessage(configs[id])
		info := describeRevision(spec, RevisionID(spec, config), config).RevisionInfo
		seen.Instances = append(seen.Instances, deployer.Instance{
			ID: id, Desired: true, Owner: "o", Address: host(id).Address, Place: host(id).Place,
			Slots: []deployer.Slot{{Role: deployer.RoleServing, Health: deployer.HealthHealthy, Revision: info}},
		})
	}
	o := merge(seen, State{}, Private{})
	return o.State, o.Private
}

func TestChanges(t *testing.T) {
	t.Parallel()
	before := specOf("shop:1.4.1")
	before.Variables = map[string]string{"DEBUG": "1", "MODE": "a", "SAME": "s"}
	before.Secrets, before.SecretsVersion = map[string]string{"DB": "x", "OLD": "y"}, 2
	older := before
	older.ReleaseID, older.Variables = "shop:1.4.0", map[string]string{"SAME": "s"}
	after := specOf("shop:1.5.0")
	after.Variables = map[string]string{"FLASK_ENV": "p", "MODE": "b", "SAME": "s"}
	after.SecretsVersion = 3
	oldConfig, newConfig := `{"service":{"command":"a","stop_timeout":"5s"},"shared":["x"]}`, `{"service":{"command":"b","stop_timeout":"5s"},"install":["y"]}`
	specs, configs := map[string]Spec{"5": older}, map[string]string{"5": oldConfig}
	for n := range 5 {
		specs[fmt.Sprint(n)], configs[fmt.Sprint(n)] = before, oldConfig
	}
	known, private := running(t, specs, configs)
	wanted := Wanted{RevisionConfig: json.RawMessage(newConfig), SecretNames: []string{"DB", "NEW"}}
	wanted.RevisionID = RevisionID(after, wanted.RevisionConfig)
	for n := range 7 {
		wanted.Validation.Instances = append(wanted.Validation.Instances, host(fmt.Sprint(n)))
	}
	config := Differences{Changed: []string{"service.command"}, Added: []string{"install"}, Removed: []string{"shared"}}
	secrets := Differences{Added: []string{"NEW"}, Removed: []string{"OLD"}}
	want := []Change{
		{
			Instances: []string{"0", "1", "2", "3", "4"}, Kind: ChangeRevision, From: "shop:1.4.1", To: "shop:1.5.0", Detailed: true,
			Config: config, Variables: Differences{Added: []string{"FLASK_ENV"}, Changed: []string{"MODE"}, Removed: []string{"DEBUG"}},
			Secrets: secrets, SecretsFrom: 2, SecretsTo: 3,
		},
		{
			Instances: []string{"5"}, Kind: ChangeRevision, From: "shop:1.4.0", To: "shop:1.5.0", Detailed: true,
			Config: config, Variables: Differences{Added: []string{"FLASK_ENV", "MODE"}}, Secrets: secrets, SecretsFrom: 2, SecretsTo: 3,
		},
		{Instances: []string{"6"}, Kind: ChangeNew, To: "shop:1.5.0"},
	}
	if diff := cmp.Diff(want, Compute(after, wanted, known, private).Touched); diff != "" {
		t.Error(diff)
	}
	raw, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	if len(private.Revisions) != 2 || strings.Contains(string(raw), `"5s"`) {
		t.Errorf("private state describes %d revisions, as %s", len(private.Revisions), raw)
	}
}

func TestKindsOfChange(t *testing.T) {
	t.Parallel()
	spec := specOf("shop:1.0.0")
	id := wantedOf(spec).RevisionID
	owned := Private{Owner: "o", Places: map[string]string{"1": host("1").Place}}
	state := func(change func(*Instance)) State {
		s := healthy(spec, "1")
		i := s.Instances["1"]
		change(&i)
		s.Instances["1"] = i
		return s
	}
	as := func(change func(*Private)) Private {
		p := owned
		change(&p)
		return p
	}
	same := func(*Instance) {}
	for name, c := range map[string]struct {
		desired deployer.DesiredInstance
		known   State
		private Private
		want    string
		batches int
	}{
		"nothing":        {host("1"), state(same), owned, "", 0},
		"stopped":        {host("1"), state(func(i *Instance) { i.Health = "stopped" }), owned, "repair stopped", 1},
		"drifted":        {host("1"), state(func(i *Instance) { i.Health = HealthDrifted }), owned, "repair drifted", 1},
		"address only":   {host("1"), state(func(i *Instance) { i.Address = "other" }), owned, "address", 0},
		"missing":        {host("1"), state(func(i *Instance) { *i = Instance{Health: HealthMissing, Address: i.Address} }), owned, "new", 1},
		"moved":          {deployer.DesiredInstance{ID: "1", Address: "10.0.0.1", Place: "elsewhere"}, state(same), owned, "revision moved", 1},
		"unverified":     {host("1"), state(same), as(func(p *Private) { p.LastGood = "old" }), "verify", 1},
		"cut off first":  {host("1"), state(same), as(func(p *Private) { p.Unfinished = true }), "verify", 1},
		"failed first":   {host("1"), state(same), as(func(p *Private) { p.Failed = []FailedNote{{Revision: id}} }), "verify", 1},
		"good":           {host("1"), state(same), as(func(p *Private) { p.LastGood, p.Unfinished = id, true }), "", 0},
		"no note of old": {host("1"), state(func(i *Instance) { i.Revision, i.Release = "x", "shop:0.9.0" }), owned, "revision", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Compute(spec, wantedOf(spec, c.desired), c.known, c.private)
			var got []string
			for _, change := range p.Touched {
				got = append(got, string(change.Kind))
				if change.Health != "" {
					got = append(got, change.Health)
				}
				if change.Moved {
					got = append(got, "moved")
				}
			}
			if text := strings.Join(got, " "); text != c.want || len(p.Batches) != c.batches || p.Changes != (c.want != "") {
				t.Errorf("%q with %d batches, changes %v; want %q with %d", text, len(p.Batches), p.Changes, c.want, c.batches)
			}
		})
	}
}

// What is not known before the apply is said to be so, and never taken for gone.
func TestChangesThatAreNotKnownYet(t *testing.T) {
	t.Parallel()
	before := specOf("shop:1.0.0")
	before.Variables = map[string]string{"A": "1", "B": "2"}
	before.Secrets = map[string]string{"S": "x"}
	config := `{"service":{"command":"a","stop_timeout":"5s"}}`
	known, private := running(t, map[string]Spec{"1": before}, map[string]string{"1": config})
	after := before
	after.Variables = map[string]string{"B": "2"}
	marker, err := json.Marshal(deployer.UnknownMarker)
	if err != nil {
		t.Fatal(err)
	}
	wanted := Wanted{
		RevisionConfig: json.RawMessage(`{"service":{"command":` + string(marker) + `,"stop_timeout":"5s"}}`),
		Validation:     deployer.Validation{Instances: []deployer.DesiredInstance{host("1")}},
		Later:          Later{Variables: []string{"A"}, Secrets: true, SecretsVersion: true},
	}
	want := []Change{{
		Instances: []string{"1"}, Kind: ChangeRevision, From: "shop:1.0.0", To: "shop:1.0.0", Detailed: true, SecretsUnknown: true,
		Config: Differences{Unknown: []string{"service.command"}}, Variables: Differences{Unknown: []string{"A"}},
	}}
	if diff := cmp.Diff(want, Compute(after, wanted, known, private).Touched); diff != "" {
		t.Error(diff)
	}
	wanted.Later = Later{AllVariables: true}
	got := Compute(after, wanted, known, private).Touched
	if len(got) != 1 || !got[0].VariablesUnknown || !got[0].Variables.None() {
		t.Errorf("%+v", got)
	}
}

// A revision that cannot be seen now is still described as it was.
func TestNotesOutliveAnUnreachableInstance(t *testing.T) {
	t.Parallel()
	known, private := running(t, map[string]Spec{"1": specOf("shop:1.0.0"), "2": specOf("shop:2.0.0")}, map[string]string{"1": "{}", "2": "{}"})
	private.LastGood, private.Unfinished = "good", true
	down := deployer.Instance{ID: "1", Desired: true, Unreachable: "timeout"}
	got := merge(deployer.TargetState{Instances: []deployer.Instance{down}}, known, private)
	if len(got.Private.Revisions) != 1 || got.Private.Revisions[known.Instances["1"].Revision].Release != "shop:1.0.0" {
		t.Errorf("%+v", got.Private.Revisions)
	}
	if got.Private.LastGood != "good" || !got.Private.Unfinished {
		t.Error("what was last good was forgotten, although nobody was there to be asked")
	}
}

// Notes are small and come from revisions that were described: anything else is
// no note.
func TestNoteOf(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for n := range mostNames + 1 {
		many[fmt.Sprint(n)] = "x"
	}
	good := deployer.RevisionInfo{ReleaseID: "shop:1.0.0", Config: json.RawMessage(`{}`)}
	for name, change := range map[string]func(*deployer.RevisionInfo){
		"no release":  func(i *deployer.RevisionInfo) { i.ReleaseID = "" },
		"no config":   func(i *deployer.RevisionInfo) { i.Config = nil },
		"too many":    func(i *deployer.RevisionInfo) { i.EnvironmentHashes = many },
		"a long name": func(i *deployer.RevisionInfo) { i.SecretNames = []string{strings.Repeat("x", longestKey+1)} },
		"a long hash": func(i *deployer.RevisionInfo) {
			i.EnvironmentHashes = map[string]string{"A": strings.Repeat("x", longestKey+1)}
		},
		"a long release": func(i *deployer.RevisionInfo) { i.ReleaseID = strings.Repeat("x", 10*longestKey) },
	} {
		info := good
		change(&info)
		if _, ok := noteOf(info); ok {
			t.Errorf("%s: it is a note", name)
		}
	}
	if _, ok := noteOf(good); !ok {
		t.Error("a good one is none")
	}
}

func TestSettingsChanged(t *testing.T) {
	t.Parallel()
	schema, err := sdk.ParseSchema(json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{
		"hosts":{"type":"object","additionalProperties":{"type":"string"},"x-delivery-part":"target"},
		"keep_releases":{"type":"integer","x-delivery-part":"target"},"command":{"type":"string"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := SettingsChanged(
		Target{Config: json.RawMessage(`{"hosts":{"a":"1","b":"2"},"keep_releases":5,"command":"x"}`)},
		Wanted{Schema: schema, TargetConfig: json.RawMessage(`{"hosts":{"a":"1","c":"3"},"keep_releases":3}`)},
	)
	want := Differences{Added: []string{"hosts.c"}, Changed: []string{"keep_releases"}, Removed: []string{"hosts.b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzFields(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":{"b":{"c":{"d":{"e":1}}}},"l":[1],"n":null,"e":{}}`, `[]`, `{"a":1e999}`, `{"":{"":1}}`, `nonsense`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		one, two := hashed(fields(raw)), hashed(fields(raw))
		if !difference(one, two, nil).None() {
			t.Errorf("%q differs from itself", raw)
		}
	})
}
