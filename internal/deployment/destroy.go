// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// DestroyRequest is one removal.
type DestroyRequest struct {
	Target   Target
	Known    State
	Private  Private
	Evidence EvidenceMode
	// LockTimeout is how long to wait for somebody else's lock; 0: not at all.
	LockTimeout time.Duration
	// Redact removes secrets from what is kept elsewhere; nil removes nothing.
	Redact func(string) string
}

// Destroy takes the deployment off every instance. It removes only what
// carries the owner's token; an instance that cannot be reached is an error.
func (s *Service) Destroy(ctx context.Context, req DestroyRequest) (Applied, error) {
	target, known, private := req.Target, req.Known, req.Private
	unchanged := Applied{State: known, Private: private}
	if private.Owner == "" && len(known.Instances) == 0 {
		return Applied{State: known, Private: private, Nothing: true}, nil
	}
	wanted, err := s.Validate(ctx, Spec{Target: target, RevisionUnknown: true})
	if err != nil {
		return unchanged, err
	}
	d, err := s.open(ctx, target.Deployer)
	if err != nil {
		return unchanged, err
	}
	if private.Owner == "" {
		if private.Owner, err = claim(ctx, d, target, known); err != nil {
			return unchanged, err
		}
	}
	evidence := s.evidenceOf(d, req.Evidence, target, deployer.OperationRemove, "", known, req.Redact)
	if err := evidence.prove(ctx); err != nil {
		return unchanged, err
	}
	d.Deployer = discreet{d.Deployer, req.Redact}
	warning, err := evidence.rescue(ctx, &private)
	if err != nil {
		return unchanged, err
	}
	plan := rollout.Plan{
		Target:      target.wire(),
		Owner:       private.Owner,
		Generation:  private.Generation,
		Desired:     wanted.Validation.Instances,
		Opaque:      private.Opaque,
		LockTimeout: req.LockTimeout,
		Lease:       lease,
	}
	// Instances that could not be reached when they were removed are tried a
	// last time, one former target after the other.
	formers := formerTargets(private.Tombstones)
	if len(formers) == 0 {
		formers = []*Target{nil}
	}
	applied := unchanged
	var warnings []string
	if warning != "" {
		warnings = append(warnings, warning)
	}
	for _, former := range formers {
		plan.Previous = former.wirePointer()
		plan.Operation = s.operation(deployer.OperationRemove)
		outcome, err := s.engine(d).Destroy(ctx, plan)
		applied = s.result(ApplyRequest{Known: known}, private, plan, outcome)
		applied, err = evidence.conclude(ctx, plan, outcome, applied, err)
		warnings = append(warnings, applied.Warnings...)
		applied.Warnings = warnings
		if err != nil {
			return applied, err
		}
	}
	return applied, nil
}

// claim finds the owner's token on the target: Terraform gives the removal half
// of a tainted deployment's replacement none. The target is ours if what is
// there was never finished, or runs what the state says.
func claim(ctx context.Context, d *session, target Target, known State) (string, error) {
	seen, err := d.Inspect(ctx, deployer.InspectRequest{Target: target.wire(), Timeout: inspectTimeout})
	if err != nil || seen.LastGood == nil {
		return seen.Owner, err
	}
	for _, i := range seen.Instances {
		slot := i.Serving()
		if slot != nil && known.Instances[i.ID].Revision != slot.Revision.ID || i.Owner != "" && i.Owner != seen.Owner {
			return "", &deployer.Error{
				Code: deployer.CodeNotOwner, Instance: i.ID,
				Message: "the state has no owner's token, and what runs there is not what the state says: it may be another deployment's",
				Advice:  "Run `terraform apply -refresh-only` and try again, or take the resource out of the state with `terraform state rm`",
			}
		}
	}
	return seen.Owner, nil
}

// formerTargets are the targets of tombstones, each once.
func formerTargets(tombstones []Tombstone) []*Target {
	var all []*Target
	for _, t := range tombstones {
		if !slices.ContainsFunc(all, func(o *Target) bool { return SameTarget(*o, t.Target) }) {
			all = append(all, &t.Target)
		}
	}
	return all
}
