// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// What a plan leaves open, and what it cannot set.
const (
	defaultLease    = time.Minute
	lockRetry       = time.Second
	parallelChanges = 32  // calls that change something, at once
	parallelChecks  = 128 // health checks at once
	// safePointGrace is how long a switch or a removal may go on after the end of
	// its context. A host deployer waits up to two minutes for another switch of
	// the same host to end.
	safePointGrace = 150 * time.Second
	acquireGrace   = 10 * time.Second
	inspectTries   = 3
	// settleBudget bounds the calls that end a run, which must happen even
	// after a cancellation: inspect, record, prune, unlock.
	settleBudget = 2 * time.Minute
	// recallEntries is how far back the ledger is read for what an instance ran
	// before runs that did not get through.
	recallEntries = 100
	// switchBudget bounds switching or removing as many instances as may be
	// changed at once: a wait for another switch, the slowest stop, the start.
	switchBudget = 5 * time.Minute
)

// run is the state of one Roll or Destroy.
type run struct {
	engine *Engine
	clock  Clock
	plan   Plan
	lock   lock

	members []*member           // desired, in order
	leaving []deployer.Instance // of the previous target only
	first   bool                // a first deployment: nothing to go back to
	begun   bool                // the ledger may hold our beginning
	// recorded is the generation of the newest entry that was sent to the ledger,
	// whether it arrived or not.
	recorded int64
	names    map[string]string // release by revision id
	waves    []wave
	shifted  map[string]string          // what served before, by scopes whose traffic was moved
	stuck    map[string]*deployer.Error // why traffic could not be given back, by scope
	cutOff   bool                       // an operation before this one did not end
	// tolerated are failures within what the strategy allows; failed counts those
	// beyond as well.
	tolerated []Failure
	failed    int
	beyond    bool // a failure was beyond that
	completed bool // every wave was switched, and held

	observing       sync.Mutex
	changes, checks chan struct{}
	pluginDied      atomic.Bool

	mu    sync.Mutex // guards what parallel calls write to: out.Warnings, out.Switched, failed, steps
	steps []deployer.EntryStep
	out   Outcome
}

// member is one desired instance during a run.
type member struct {
	deployer.DesiredInstance
	found    deployer.Instance // as first inspected
	from     string            // revision that it served then; "": none
	pending  bool              // it has to be brought to the revision
	switched bool              // an activation was begun, or traffic was given to the revision
	now      string            // revision of the last activation that succeeded
	healthy  bool              // seen healthy since its last switch
	staged   bool              // the plan's revision may run there beside another one
	drained  bool              // and has not got its traffic back
	gaveUp   bool              // it failed, and the rollout went on without it
	target   *deployer.Target  // where it is, if that is not the plan's target
	opaque   []byte
}

func newRun(e *Engine, plan Plan) *run {
	if plan.Strategy == nil {
		plan.Strategy = Rolling{}
	}
	if plan.Lease <= 0 {
		plan.Lease = defaultLease
	}
	plan.Health = plan.Health.withDefaults(plan.Strategy.minHealthy())
	r := &run{
		engine:  e,
		clock:   e.Clock,
		plan:    plan,
		names:   map[string]string{plan.Revision.ID: plan.Revision.ReleaseID},
		shifted: map[string]string{},
		stuck:   map[string]*deployer.Error{},
		changes: make(chan struct{}, parallelChanges),
		checks:  make(chan struct{}, parallelChecks),
	}
	if r.clock == nil {
		r.clock = SystemClock{}
	}
	r.lock.run = r
	r.out.Started = r.clock.Now()
	r.out.Generation = plan.Generation
	r.out.Opaque = maps.Clone(plan.Opaque)
	return r
}

// finish completes the outcome.
func (r *run) finish() Outcome {
	if r.out.Opaque == nil {
		r.out.Opaque = map[string][]byte{}
	}
	for _, m := range r.members {
		if m.opaque != nil {
			r.out.Opaque[m.ID] = m.opaque
		}
	}
	if r.out.Result == "" {
		r.out.Generation = r.plan.Generation // a refusal is no consent to what it found
	}
	r.out.LastGood = r.out.State.LastGood
	r.out.Finished = r.clock.Now()
	return r.out
}

func (r *run) can(c deployer.Capability) bool { return r.engine.Description.Can(c) }

func (r *run) emit(event Event) {
	if r.engine.Observe == nil {
		return
	}
	event.Time = r.clock.Now()
	r.observing.Lock()
	defer r.observing.Unlock()
	r.engine.Observe(event)
}

func (r *run) note(step Step, message string) {
	r.emit(Event{Kind: EventNote, Step: step, Message: message})
}

func (r *run) warn(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Warnings = append(r.out.Warnings, message)
}

// own gives a context that outlives the cancellation of ctx, with a budget of
// its own, for what must be done in any case.
func (r *run) own(ctx context.Context, budget time.Duration) (context.Context, context.CancelFunc) {
	return withTimeout(context.WithoutCancel(ctx), r.clock, budget)
}

// budget bounds switching or removing n instances.
func budget(n int) time.Duration {
	rounds := max(1, (n+parallelChanges-1)/parallelChanges)
	return time.Duration(rounds) * switchBudget
}

// learn keeps the names of revisions for messages, and what the platform wants
// to see again.
func (r *run) learn(state deployer.TargetState) {
	name := func(info deployer.RevisionInfo) {
		if info.ID != "" && info.ReleaseID != "" {
			r.names[info.ID] = info.ReleaseID
		}
	}
	if state.LastGood != nil {
		name(*state.LastGood)
	}
	for _, instance := range state.Instances {
		for _, slot := range instance.Slots {
			name(slot.Revision)
		}
	}
}

// name tells a revision for people.
func (r *run) name(revision string) string {
	switch release := r.names[revision]; {
	case revision == "":
		return "nothing"
	case release == "":
		return "revision " + revision
	default:
		return release + " (revision " + revision + ")"
	}
}

// each does something to all members at once and returns the failures in the
// members' order.
func each(members []*member, do func(*member) *Failure) []Failure {
	found := make([]*Failure, len(members))
	var group sync.WaitGroup
	for n, m := range members {
		group.Go(func() { found[n] = do(m) })
	}
	group.Wait()
	var failures []Failure
	for _, f := range found {
		if f != nil {
			failures = append(failures, *f)
		}
	}
	return failures
}

// sorted gives desired instances in the order in which they are switched.
func sorted(desired []deployer.DesiredInstance) []deployer.DesiredInstance {
	return slices.SortedStableFunc(slices.Values(desired), func(a, b deployer.DesiredInstance) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
	})
}
