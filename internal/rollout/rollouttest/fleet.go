// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package rollouttest has a deployer whose fleet lives in memory and fails as
// scripted, and a clock that does not wait, for tests of the engine and of what
// is built on it.
package rollouttest

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Fleet is an atomic deployer. Its zero value is ready; a field is not changed
// while calls run.
type Fleet struct {
	// Without takes capabilities away, With adds those to stage, retire and shift.
	Without []deployer.Capability
	With    []deployer.Capability
	// Script decides before every call how it fails; nil: it does not.
	Script func(Call) Fault
	// Health judges a revision that serves; n counts the checks since its last
	// activation, from 1. nil: it passes.
	Health func(instance, revision string, n int) deployer.CheckResult
	// Changed is called, with the fleet locked, after each change of what an
	// instance runs.
	Changed func(instance, revision string)
	// Now is the time; nil: time.Now.
	Now func() time.Time

	mu     sync.Mutex
	hosts  map[string]*host // by place
	lock   held
	locks  int
	calls  []Call
	counts map[string]int
	dead   bool
	out    map[string]bool // activated and not seen healthy since
	maxOut int
	shares map[string]int // of traffic, by revision; nil: as it serves
	rushed []string       // instances that got traffic before their check passed
	// starved are instances on which a revision was stopped that had traffic.
	starved []string
}

var _ deployer.Deployer = (*Fleet)(nil)

// host is one place.
type host struct {
	owner       string
	serving     string
	mixed       string          // the other revision, of a platform cut off in between
	staged      map[string]bool // runs beside what serves: whether its check has passed
	held        []deployer.RevisionInfo
	incomplete  map[string]bool
	health      deployer.Health
	drift       []deployer.Drift
	unreachable string
	ledger      []deployer.Entry
	checks      int
	since       time.Time
}

// config is the target configuration of a Fleet.
type config struct {
	Hosts map[string]string `json:"hosts"` // place by id
}

// Target is a target with these instances, each at the place of its own name.
func Target(ids ...string) deployer.Target {
	hosts := map[string]string{}
	for _, id := range ids {
		hosts[id] = id
	}
	return TargetAt(hosts)
}

// TargetAt is a target with instances at places, by id.
func TargetAt(hosts map[string]string) deployer.Target {
	raw, err := json.Marshal(config{Hosts: hosts})
	if err != nil {
		panic(err) // a map of strings
	}
	return deployer.Target{Environment: "production", Deployment: "api", Config: raw}
}

// Revision is a revision of a release shop:<id>.
func Revision(id string) deployer.Revision {
	return deployer.Revision{RevisionInfo: deployer.RevisionInfo{ID: id, ReleaseID: "shop:" + id, Version: id}}
}

// Desired is what Validate answers for a target.
func Desired(target deployer.Target) []deployer.DesiredInstance {
	var desired []deployer.DesiredInstance
	places := placesOf(&target)
	for _, id := range slices.Sorted(maps.Keys(places)) {
		desired = append(desired, deployer.DesiredInstance{ID: id, Scope: "fleet", Address: places[id], Place: places[id]})
	}
	return desired
}

// decoded are the places of all targets so far, by configuration.
var decoded sync.Map

// placesOf are a target's places by instance; they are not changed.
func placesOf(target *deployer.Target) map[string]string {
	if target == nil {
		return nil
	}
	if known, ok := decoded.Load(string(target.Config)); ok {
		return known.(map[string]string)
	}
	var c config
	if json.Unmarshal(target.Config, &c) != nil {
		return nil
	}
	decoded.Store(string(target.Config), c.Hosts)
	return c.Hosts
}

// Install puts a finished deployment there, as a successful operation would have.
func (f *Fleet) Install(target deployer.Target, owner, revision string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	generation := f.generation(&target) + 1
	for _, place := range placesOf(&target) {
		h := f.host(place)
		h.owner, h.serving, h.health, h.since = owner, revision, deployer.HealthHealthy, f.now()
		h.hold(Revision(revision).RevisionInfo)
		h.ledger = append(h.ledger, deployer.Entry{
			Schema: deployer.EntrySchema, Phase: deployer.PhaseEnd, Owner: owner, Generation: generation,
			Operation: deployer.Operation{ID: "op-install", Kind: deployer.OperationCreate, Actor: "ann@laptop", Started: f.now()},
			Time:      f.now(), To: Revision(revision).RevisionInfo, Outcome: deployer.OutcomeSucceeded,
		})
	}
}

// Edit changes a place by hand, as an operator would.
func (f *Fleet) Edit(place string, change func(*Place)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.host(place)
	p := Place{Serving: h.serving, Health: h.health, Unreachable: h.unreachable, Drift: h.drift, Owner: h.owner}
	change(&p)
	h.serving, h.health, h.unreachable, h.drift, h.owner = p.Serving, p.Health, p.Unreachable, p.Drift, p.Owner
	for _, id := range p.Damaged {
		h.incomplete[id] = true
	}
	for _, id := range p.Lost {
		h.drop(id)
	}
}

// Place is what Edit can change.
type Place struct {
	Serving     string
	Health      deployer.Health
	Unreachable string
	Drift       []deployer.Drift
	Owner       string
	Damaged     []string // revisions to damage
	Lost        []string // revisions to delete
}

// Runs is what each place runs in truth; places that run nothing are not there.
func (f *Fleet) Runs() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	runs := map[string]string{}
	for place, h := range f.hosts {
		if h.serving != "" {
			runs[place] = h.serving
		}
	}
	return runs
}

// Empty says whether nothing is left anywhere.
func (f *Fleet) Empty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.hosts {
		if h.serving != "" || h.owner != "" || len(h.held) > 0 || len(h.ledger) > 0 {
			return false
		}
	}
	return true
}

// Ledger is what a place's ledger holds, oldest first.
func (f *Fleet) Ledger(place string) []deployer.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.host(place).ledger)
}

// Locked says whether somebody holds the lock.
func (f *Fleet) Locked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lock.runs(f.now())
}

// MaxOut is how many instances were at once between an activation and the first
// passed check after it.
func (f *Fleet) MaxOut() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.maxOut
}

// Rushed are the instances that got traffic before a check of theirs had passed.
func (f *Fleet) Rushed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rushed)
}

// Starved are the instances on which a revision was stopped that had a share of
// the traffic.
func (f *Fleet) Starved() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starved)
}

// Beside is what runs at places without being what serves there.
func (f *Fleet) Beside() map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	beside := map[string][]string{}
	for place, h := range f.hosts {
		if len(h.staged) > 0 {
			beside[place] = slices.Sorted(maps.Keys(h.staged))
		}
	}
	return beside
}

// Shares is how traffic was shared last; nil: by what serves.
func (f *Fleet) Shares() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.shares)
}

// Die makes every call fail without effect, as when the plugin's process is
// killed for good; Revive starts a new one.
func (f *Fleet) Die() { f.setDead(true) }

// Revive ends Die.
func (f *Fleet) Revive() { f.setDead(false) }

func (f *Fleet) setDead(dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = dead
}

// Description is what Describe answers.
func (f *Fleet) Description() deployer.Description {
	d := deployer.Description{Name: "fleet", Version: "1.0.0", ArtifactKinds: []string{deployer.MediaTypeArchive}}
	for _, c := range []deployer.Capability{
		deployer.CanValidate, deployer.CanLock, deployer.CanPrepare, deployer.CanCheck,
		deployer.CanRecord, deployer.CanPrune, deployer.CanRun, deployer.Atomic,
	} {
		if !slices.Contains(f.Without, c) {
			d.Capabilities = append(d.Capabilities, c)
		}
	}
	d.Capabilities = append(d.Capabilities, f.With...)
	return d
}

// Describe answers Description.
func (f *Fleet) Describe(context.Context) (deployer.Description, error) { return f.Description(), nil }

func (f *Fleet) can(c deployer.Capability) bool { return f.Description().Can(c) }

func (f *Fleet) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

func (f *Fleet) host(place string) *host {
	if f.hosts == nil {
		f.hosts = map[string]*host{}
	}
	if f.hosts[place] == nil {
		f.hosts[place] = newHost()
	}
	return f.hosts[place]
}

func newHost() *host { return &host{incomplete: map[string]bool{}, staged: map[string]bool{}} }

func (h *host) holds(id string) bool {
	return !h.incomplete[id] && slices.ContainsFunc(h.held, func(r deployer.RevisionInfo) bool { return r.ID == id })
}

// hold keeps a revision, the newest last.
func (h *host) hold(info deployer.RevisionInfo) {
	h.drop(info.ID)
	delete(h.incomplete, info.ID)
	h.held = append(h.held, info)
}

func (h *host) drop(id string) {
	h.held = slices.DeleteFunc(h.held, func(r deployer.RevisionInfo) bool { return r.ID == id })
}

func (f *Fleet) changed(instance string, h *host) {
	if f.Changed != nil {
		f.Changed(instance, h.serving)
	}
}

// places of a target and its predecessor, sorted, each once.
func places(target, previous *deployer.Target) []string {
	all := slices.Concat(slices.Collect(maps.Values(placesOf(target))), slices.Collect(maps.Values(placesOf(previous))))
	slices.Sort(all)
	return slices.Compact(all)
}

// idAt is an instance at a place.
func idAt(place string, targets ...*deployer.Target) string {
	for _, target := range targets {
		for id, at := range placesOf(target) {
			if at == place {
				return id
			}
		}
	}
	return ""
}

func (f *Fleet) generation(target *deployer.Target) int64 {
	var highest int64
	for _, place := range places(target, nil) {
		for _, e := range f.host(place).ledger {
			highest = max(highest, e.Generation)
		}
	}
	return highest
}

func newestFirst(a, b deployer.Entry) int { return -cmp.Compare(a.Generation, b.Generation) }
