// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// lease is how long a lock outlives a holder that cannot be seen to be dead.
const lease = 60 * time.Second

// ApplyRequest is one create, update, repair or adoption.
type ApplyRequest struct {
	Spec     Spec
	Previous *Target // as it was applied last; nil for a create or an adoption
	Known    State
	Private  Private
	Kind     string // one of deployer.Operation…
	// Redact removes secrets from what is kept elsewhere; nil removes nothing.
	Redact func(string) string
}

// Applied is what is true after an apply, whether it failed or not.
type Applied struct {
	State    State
	Private  Private
	Warnings []string
	// Nothing: the target was looked at and holds nothing of this deployment.
	Nothing bool
}

// NewOwner mints the token that marks a target as one resource's.
func NewOwner() string { return uuid.NewString() }

// Apply brings every instance to the revision that the spec stands for. With
// an error, Applied still says what runs, as far as it could be observed.
func (s *Service) Apply(ctx context.Context, req ApplyRequest) (Applied, error) {
	unchanged := Applied{State: req.Known, Private: req.Private, Nothing: req.Kind == deployer.OperationCreate}
	wanted, err := s.Validate(ctx, req.Spec)
	if err != nil {
		return unchanged, err
	}
	if err := refusal(wanted.Validation.Diagnostics); err != nil {
		return unchanged, err
	}
	if err := req.Spec.CheckAnalyses(); err != nil {
		return unchanged, err
	}
	if err := req.Spec.Health.Probe.Validate(); err != nil {
		return unchanged, err
	}
	if wanted.RevisionID == "" || wanted.Validation.InstancesUnknown {
		return unchanged, errors.New("a value of the configuration is still unknown while applying, which Terraform should not allow; please report this")
	}
	d, err := s.open(ctx, req.Spec.Deployer)
	if err != nil {
		return unchanged, err
	}
	evidence := s.evidenceOf(d, req.Spec.Evidence, req.Spec.Target, req.Kind, req.Spec.ReleaseID, req.Known, req.Redact)
	if err := evidence.prove(ctx); err != nil {
		return unchanged, err
	}
	d.Deployer = discreet{d.Deployer, req.Redact}
	bytes := &artifactSource{service: s, releaseID: req.Spec.ReleaseID, recipe: req.Private.Recipe}
	defer bytes.cleanUp()

	private := req.Private
	mayAdopt := private.Owner == "" && req.Kind != deployer.OperationCreate
	if private.Owner == "" {
		private.Owner = NewOwner()
	}
	plan := rollout.Plan{
		Operation:   s.operation(req.Kind),
		Target:      req.Spec.wire(),
		Previous:    req.Previous.wirePointer(),
		Owner:       private.Owner,
		Generation:  private.Generation,
		MayAdopt:    mayAdopt,
		Revision:    describeRevision(req.Spec, wanted.RevisionID, wanted.RevisionConfig),
		Artifact:    bytes.get,
		Desired:     wanted.Validation.Instances,
		Strategy:    req.Spec.Strategy,
		Health:      req.Spec.Health,
		Revert:      req.Spec.Revert,
		Tasks:       req.Spec.Tasks,
		Hooks:       req.Spec.Hooks,
		Keep:        keepReleases(req.Spec.Config),
		Opaque:      private.Opaque,
		LockTimeout: req.Spec.LockTimeout,
		Lease:       lease,
	}
	// A release that the store does not hold may still be kept by every
	// instance, so its absence is an error only when its bytes are needed.
	release, known := bytes.lookUp(ctx)
	if known {
		plan.Revision.Commit = release.Commit
		plan.Revision.ArtifactDigest = release.Artifact.Digest
	}
	engine := s.engine(d)
	engine.Analyzer = req.Spec.analyzer()
	outcome, rollErr := engine.Roll(ctx, plan)
	applied := s.result(req, private, plan, outcome)
	if rollErr != nil {
		applied.Private.Tombstones = append(applied.Private.Tombstones, leftovers(req, plan, outcome)...)
		return evidence.conclude(ctx, plan, outcome, applied, rollErr)
	}
	if err := s.verify(applied.State, wanted, outcome); err != nil {
		return evidence.conclude(ctx, plan, outcome, applied, err)
	}
	if err := s.retryTombstones(ctx, d, plan, &applied); err != nil {
		return evidence.conclude(ctx, plan, outcome, applied, err)
	}
	applied.State.RunningReleaseID = req.Spec.ReleaseID
	if req.Known.RunningReleaseID != "" && req.Known.RunningReleaseID != req.Spec.ReleaseID {
		applied.State.PreviousReleaseID = req.Known.RunningReleaseID
	}
	applied.State.DeployedAt = s.now().UTC()
	if known {
		applied.State.Commits = s.commits(ctx, bytes.store, req.Known.RunningReleaseID, release)
	}
	return evidence.conclude(ctx, plan, outcome, applied, nil)
}

func (s *Service) engine(d *session) *rollout.Engine {
	return &rollout.Engine{Deployer: d.Deployer, Description: d.description, Clock: rollout.SystemClock{}, Observe: s.Progress}
}

func (s *Service) operation(kind string) deployer.Operation {
	return deployer.Operation{ID: uuid.NewString(), Kind: kind, Actor: Actor(), Started: s.now().UTC()}
}

// wirePointer is nil for nil.
func (t *Target) wirePointer() *deployer.Target {
	if t == nil {
		return nil
	}
	w := t.wire()
	return &w
}

// result turns the engine's outcome into what the attributes say.
func (s *Service) result(req ApplyRequest, private Private, plan rollout.Plan, outcome rollout.Outcome) Applied {
	applied := Applied{State: req.Known, Private: private, Warnings: outcome.Warnings}
	applied.Private.Recipe = nil
	applied.Private.Generation = max(private.Generation, outcome.Generation)
	if outcome.Inspected {
		seen := asConfigured(outcome.State, plan.Desired)
		seen.Owner = "" // ours is known; a foreign one is a note on its instance
		merged := merge(seen, req.Known, applied.Private)
		applied.State, applied.Private = merged.State, merged.Private
	}
	applied.Nothing = nothingOf(private.Owner, outcome)
	for _, id := range outcome.Tombstones {
		if req.Previous == nil {
			continue
		}
		t := Tombstone{Target: *req.Previous, Instance: id, Place: private.Places[id]}
		if !slices.ContainsFunc(applied.Private.Tombstones, func(o Tombstone) bool { return o.Instance == t.Instance && o.Place == t.Place }) {
			applied.Private.Tombstones = append(applied.Private.Tombstones, t)
		}
		delete(applied.State.Instances, id)
		delete(applied.State.Details, id)
	}
	return applied
}

// verify makes sure that a success is one: every instance that was looked at
// afterwards is on its planned revision.
func (s *Service) verify(now State, wanted Wanted, outcome rollout.Outcome) error {
	if !outcome.Inspected {
		return nil
	}
	for _, i := range wanted.Validation.Instances {
		if runs := now.Instances[i.ID].Revision; runs != wanted.RevisionID {
			return &deployer.Error{
				Code: deployer.CodeFailed, Instance: i.ID, Step: "verify",
				Message: fmt.Sprintf("the deployer reported success, and the instance runs revision %q, not %q", runs, wanted.RevisionID),
				Advice:  "Plan again to see what runs; if it happens again, report it to the deployer's authors",
			}
		}
	}
	return nil
}

// leftovers are instances of a target that a failed update meant to move to,
// and that the state's own target does not have: they may run something of
// ours, so they are not forgotten.
func leftovers(req ApplyRequest, plan rollout.Plan, outcome rollout.Outcome) []Tombstone {
	if req.Previous == nil || !outcome.Touched {
		return nil
	}
	var left []Tombstone
	for _, i := range asConfigured(outcome.State, plan.Desired).Instances {
		if i.Desired && req.Private.Places[i.ID] != i.Place && (i.Unreachable != "" || i.Owner == plan.Owner) {
			left = append(left, Tombstone{Target: req.Spec.Target, Instance: i.ID, Place: i.Place})
		}
	}
	return left
}

// nothingOf says that nothing on the target is this deployment's.
func nothingOf(owner string, outcome rollout.Outcome) bool {
	if outcome.Gone || !outcome.Touched {
		return true
	}
	return outcome.Inspected && !slices.ContainsFunc(outcome.State.Instances, func(i deployer.Instance) bool {
		return i.Unreachable != "" || i.Owner == owner
	})
}

// retryTombstones takes the deployment off instances that could not be reached
// when they were removed, one former target after the other.
func (s *Service) retryTombstones(ctx context.Context, d *session, plan rollout.Plan, applied *Applied) error {
	var stay []Tombstone
	for _, t := range applied.Private.Tombstones {
		if !slices.ContainsFunc(plan.Desired, func(i deployer.DesiredInstance) bool { return i.ID == t.Instance && i.Place == t.Place }) {
			stay = append(stay, t)
		}
	}
	applied.Private.Tombstones = stay
	if plan.Previous != nil && len(stay) > 0 {
		stay = slices.DeleteFunc(slices.Clone(stay), func(t Tombstone) bool { return slices.Equal(t.Target.Config, plan.Previous.Config) })
	}
	for _, t := range stay {
		again := plan
		again.Previous = t.Target.wirePointer()
		again.Generation = applied.Private.Generation
		again.Operation = s.operation(deployer.OperationRemove)
		outcome, err := s.engine(d).Roll(ctx, again)
		applied.Private.Generation = max(applied.Private.Generation, outcome.Generation)
		if err != nil {
			return fmt.Errorf("removing %s, which was taken out of the configuration earlier: %w", t.Instance, err)
		}
		if !slices.Contains(outcome.Tombstones, t.Instance) {
			applied.Private.Tombstones = slices.DeleteFunc(applied.Private.Tombstones, func(o Tombstone) bool { return o.Instance == t.Instance && o.Place == t.Place })
		}
	}
	return nil
}
