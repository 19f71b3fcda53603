// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Change is what an apply does to some instances, to all of them in the same way.
type Change struct {
	Instances []string // in the order of the configuration
	Kind      ChangeKind
	From, To  string // releases; To "" is not known yet
	Health    string // with ChangeRepair: what is wrong
	// Moved: the instance is at another place, and starts there from nothing.
	Moved bool
	// AddressUnknown: where the instance is, is known only after the apply.
	AddressUnknown bool
	// Detailed says that what the instance runs is known in detail, so that
	// the fields below tell all that differs besides the release.
	Detailed               bool
	Config                 Differences
	Variables              Differences
	Secrets                Differences // of their names
	SecretsFrom, SecretsTo int64
	SecretsUnknown         bool // SecretsTo is known only after the apply
	// VariablesUnknown: not even the names are known before the apply.
	VariablesUnknown bool
}

// ChangeKind says why an instance is touched.
type ChangeKind string

// The kinds of change.
const (
	ChangeNew      ChangeKind = "new"      // the instance ran nothing of this deployment
	ChangeRevision ChangeKind = "revision" // another release or another configuration
	ChangeRepair   ChangeKind = "repair"   // the right revision, which is not as it should be
	ChangeVerify   ChangeKind = "verify"   // the right revision, which no rollout has found good yet
	ChangeAddress  ChangeKind = "address"  // only what the state says of its address
)

// Differences are names of what differs, each list sorted.
type Differences struct {
	Added, Changed, Removed []string
	// Unknown may differ: their values are known only after the apply.
	Unknown []string
}

// None says that nothing differs.
func (d Differences) None() bool {
	return len(d.Added)+len(d.Changed)+len(d.Removed)+len(d.Unknown) == 0
}

// changes tells what an apply will do to each instance that it touches, the
// instances that change alike together.
func changes(spec Spec, wanted Wanted, known State, private Private, touched []deployer.DesiredInstance, switched map[string]bool) []Change {
	next := wanted.note(spec)
	var all []Change
	at := map[string]int{}
	for _, d := range touched {
		c := changeOf(d, next, wanted, known, private, switched[d.ID])
		key, err := json.Marshal(c)
		if err != nil {
			panic(err) // strings and numbers
		}
		n, seen := at[string(key)]
		if !seen {
			n = len(all)
			at[string(key)] = n
			all = append(all, c)
		}
		all[n].Instances = append(all[n].Instances, d.ID)
	}
	return all
}

func changeOf(d deployer.DesiredInstance, next RevisionNote, wanted Wanted, known State, private Private, switched bool) Change {
	now, had := known.Instances[d.ID]
	c := Change{From: now.Release, To: next.Release, Moved: private.moved(d), AddressUnknown: d.AddressUnknown}
	switch {
	case !had || now.Revision == "":
		c.Kind = ChangeNew
		return c
	case now.Revision != wanted.RevisionID || c.Moved:
		c.Kind = ChangeRevision
	case now.Health != HealthHealthy:
		c.Kind, c.Health = ChangeRepair, now.Health
		return c
	case switched:
		c.Kind = ChangeVerify
		return c
	default:
		c.Kind = ChangeAddress
		return c
	}
	before, noted := private.Revisions[now.Revision]
	if !noted {
		return c
	}
	c.Detailed = true
	c.Config = difference(before.Config, next.Config, unknownFields(wanted.RevisionConfig))
	c.Variables = difference(before.Variables, next.Variables, wanted.Later.Variables)
	c.Secrets = difference(set(before.Secrets), set(next.Secrets), nil)
	c.SecretsFrom, c.SecretsTo, c.SecretsUnknown = before.SecretsVersion, next.SecretsVersion, wanted.Later.SecretsVersion
	if wanted.Later.AllVariables {
		c.Variables, c.VariablesUnknown = Differences{}, true
	}
	if wanted.Later.Secrets {
		c.Secrets = Differences{}
	}
	return c
}

// Later is what of a revision is known only after the apply of something else.
type Later struct {
	Variables      []string // names whose values are not known
	AllVariables   bool     // nor their names
	SecretsVersion bool
	Secrets        bool // their names
}

// unknownFields names the fields that hold something unknown.
func unknownFields(raw json.RawMessage) []string {
	var names []string
	for name, value := range fields(raw) {
		if holdsUnknown(value) {
			names = append(names, name)
		}
	}
	return names
}

// difference compares by hashes; whatever is named in unknown may differ.
func difference(before, after map[string]string, unknown []string) Differences {
	var d Differences
	for name, hash := range after {
		was, had := before[name]
		switch {
		case slices.Contains(unknown, name):
		case !had:
			d.Added = append(d.Added, name)
		case was != hash:
			d.Changed = append(d.Changed, name)
		}
	}
	for name := range before {
		if _, stays := after[name]; !stays && !slices.Contains(unknown, name) {
			d.Removed = append(d.Removed, name)
		}
	}
	d.Unknown = slices.Clone(unknown)
	for _, names := range [][]string{d.Added, d.Changed, d.Removed, d.Unknown} {
		slices.Sort(names)
	}
	return d
}

func set(names []string) map[string]string {
	all := make(map[string]string, len(names))
	for _, name := range names {
		all[name] = ""
	}
	return all
}

// SettingsChanged names what differs in the part of a target's configuration
// that no revision has: it says where and how many, and how they are kept.
func SettingsChanged(before Target, wanted Wanted) Differences {
	_, was, err := wanted.Schema.Split(before.Config)
	if err != nil {
		return Differences{}
	}
	return difference(hashed(fields(was)), hashed(fields(wanted.TargetConfig)), unknownFields(wanted.TargetConfig))
}

// note is what the wanted revision is made of.
func (w Wanted) note(spec Spec) RevisionNote {
	info := describeRevision(spec, w.RevisionID, w.RevisionConfig).RevisionInfo
	info.SecretNames = w.SecretNames
	n, _ := noteOf(info)
	n.Release = spec.ReleaseID
	return n
}

// RevisionNote is what private state keeps of a revision that runs somewhere:
// what it is made of, in names and short hashes, without a value.
type RevisionNote struct {
	Release        string            `json:"release,omitempty"`
	Config         map[string]string `json:"config,omitempty"`    // hash by field
	Variables      map[string]string `json:"variables,omitempty"` // hash by name
	Secrets        []string          `json:"secrets,omitempty"`   // names
	SecretsVersion int64             `json:"secrets_version,omitempty"`
}

// Bounds of a note: it comes from a host and goes into the state.
const (
	mostNames  = 500
	longestKey = 128 // bytes
)

// noteOf describes what a deployer says of a revision; false when it kept too
// little of it, or so much that it is no note any more.
func noteOf(info deployer.RevisionInfo) (RevisionNote, bool) {
	n := RevisionNote{
		Release: info.ReleaseID, Config: hashed(fields(info.Config)), Variables: info.EnvironmentHashes,
		Secrets: slices.Sorted(slices.Values(info.SecretNames)), SecretsVersion: info.SecretsVersion,
	}
	if info.ReleaseID == "" || len(info.ReleaseID) > 4*longestKey || len(info.Config) == 0 || len(n.Config)+len(n.Variables)+len(n.Secrets) > mostNames {
		return n, false
	}
	for _, names := range [][]string{slices.Collect(maps.Keys(n.Config)), slices.Collect(maps.Keys(n.Variables)), slices.Collect(maps.Values(n.Variables)), n.Secrets} {
		if slices.ContainsFunc(names, func(name string) bool { return len(name) > longestKey }) {
			return n, false
		}
	}
	return n, true
}

// notesOf keeps the notes of the revisions that the state's instances run, of
// those that were seen and, for instances that could not be, of those before.
func notesOf(seen []deployer.Instance, instances map[string]Instance, before map[string]RevisionNote) map[string]RevisionNote {
	notes := map[string]RevisionNote{}
	for n := range seen {
		slot := seen[n].Serving()
		if slot == nil || slot.Revision.ID == "" {
			continue
		}
		if _, done := notes[slot.Revision.ID]; done {
			continue
		}
		if note, ok := noteOf(slot.Revision); ok {
			notes[slot.Revision.ID] = note
		}
	}
	running := map[string]bool{}
	for _, i := range instances {
		running[i.Revision] = true
		if note, kept := before[i.Revision]; kept {
			if _, done := notes[i.Revision]; !done {
				notes[i.Revision] = note
			}
		}
	}
	maps.DeleteFunc(notes, func(id string, _ RevisionNote) bool { return !running[id] })
	if len(notes) == 0 {
		return nil
	}
	return notes
}
