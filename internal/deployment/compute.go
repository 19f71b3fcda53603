// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Wanted is what a configuration means: which instances, running which revision.
type Wanted struct {
	Validation  deployer.Validation
	Description deployer.Description // of the deployer
	// RevisionID is "" when it is not known yet.
	RevisionID     string
	RevisionConfig json.RawMessage
	TargetConfig   json.RawMessage
	Schema         *sdk.Schema // of the target's configuration

	// SecretNames and Later are for words alone and set by whoever plans.
	SecretNames []string
	Later       Later
}

// Validate asks the deployer what a configuration means, once that fits the
// deployer's schema. It is static: nothing is contacted. What is wrong is in
// the Validation's diagnostics.
func (s *Service) Validate(ctx context.Context, spec Spec) (Wanted, error) {
	d, err := s.open(ctx, spec.Deployer)
	if err != nil {
		return Wanted{}, err
	}
	wanted := Wanted{Schema: d.schema, Description: d.description}
	wanted.Validation.Diagnostics = d.schema.Validate(spec.Config)
	if slices.ContainsFunc(wanted.Validation.Diagnostics, isError) {
		return wanted, nil
	}
	if wanted.Validation, err = d.Validate(ctx, deployer.ValidateRequest{Target: spec.wire()}); err != nil {
		return Wanted{}, err
	}
	if wanted.RevisionConfig, wanted.TargetConfig, err = d.schema.Split(spec.Config); err != nil {
		return Wanted{}, err
	}
	if !spec.RevisionUnknown && !holdsUnknown(wanted.RevisionConfig) {
		wanted.RevisionID = RevisionID(spec, wanted.RevisionConfig)
	}
	return wanted, nil
}

func isError(d deployer.Diagnostic) bool { return !d.Warning }

// refusal is the first finding that is an error, as one.
func refusal(findings []deployer.Diagnostic) error {
	for _, f := range findings {
		if isError(f) {
			return &deployer.Error{Code: deployer.CodeInvalid, Message: f.Summary + ": " + f.Detail, Path: f.Path}
		}
	}
	return nil
}

// PlannedInstance is one member of the planned attribute instances. Its health
// is always planned as healthy.
type PlannedInstance struct {
	Instance
	AddressUnknown bool
}

// Planned is what an apply will make true.
type Planned struct {
	// Unknown: which instances there will be is not known yet.
	Unknown   bool
	Instances map[string]PlannedInstance
	Revision  string // "" when it is not known yet
	// Batches are the instances that will be switched, in the order in which
	// they will be.
	Batches [][]string
	// Order says so in one sentence, with what is waited for in between.
	Order string
	// Changes: something will be done on the target.
	Changes bool
	// Touched says what will be done to each instance.
	Touched []Change
	// Moves are instances whose place changes: added at the new one, then
	// removed from the old one.
	Moves []string
}

// Compute is the plan: a pure function of what is wanted and what was known.
func Compute(spec Spec, wanted Wanted, known State, private Private) Planned {
	if wanted.Validation.InstancesUnknown {
		return Planned{Unknown: true, Changes: true}
	}
	p := Planned{Instances: map[string]PlannedInstance{}, Revision: wanted.RevisionID}
	found := foundState(wanted, known, private)
	p.Batches = rollout.Batches(wanted.Validation.Instances, found, wanted.RevisionID, spec.Strategy)
	p.Order = rollout.Describe(wanted.Validation.Instances, found, wanted.RevisionID, spec.Strategy)
	switched := map[string]bool{}
	for _, batch := range p.Batches {
		for _, id := range batch {
			switched[id] = true
		}
	}
	var touched []deployer.DesiredInstance
	for _, d := range wanted.Validation.Instances {
		planned := PlannedInstance{
			Instance:       Instance{Release: spec.ReleaseID, Revision: wanted.RevisionID, Health: HealthHealthy, Address: d.Address},
			AddressUnknown: d.AddressUnknown,
		}
		p.Instances[d.ID] = planned
		if private.moved(d) {
			p.Moves = append(p.Moves, d.ID)
		}
		if switched[d.ID] || d.AddressUnknown || known.Instances[d.ID] != planned.Instance {
			touched = append(touched, d)
		}
	}
	p.Touched = changes(spec, wanted, known, private, touched, switched)
	p.Changes = len(touched) > 0
	for id := range known.Instances {
		if _, stays := p.Instances[id]; !stays {
			p.Changes = true
		}
	}
	if private.Owner == "" {
		p.Changes = true // adoption
	}
	return p
}

// moved says whether a desired instance was seen at another place.
func (p Private) moved(d deployer.DesiredInstance) bool {
	place := p.Places[d.ID]
	return place != "" && !d.AddressUnknown && d.Place != place
}

// foundState is what is known of the target in the deployers' own words, as
// far as that decides what an apply does. Instances that will be at another
// place, or at one that is not known yet, are not in it.
func foundState(wanted Wanted, known State, private Private) deployer.TargetState {
	state := deployer.TargetState{Owner: private.Owner, Generation: private.Generation}
	if wanted.RevisionID == "" {
		return state
	}
	if private.LastGood != "" {
		state.LastGood = &deployer.RevisionInfo{ID: private.LastGood}
	}
	if private.Unfinished {
		state.Unfinished = &deployer.Operation{}
	}
	for _, f := range private.Failed {
		state.Failed = append(state.Failed, deployer.FailedRevision{
			Revision: deployer.RevisionInfo{ID: f.Revision, ReleaseID: f.Release}, Reason: f.Reason, Time: f.Time,
		})
	}
	for _, d := range wanted.Validation.Instances {
		now, had := known.Instances[d.ID]
		if !had || private.moved(d) || d.AddressUnknown {
			continue
		}
		i := deployer.Instance{
			ID: d.ID, Scope: d.Scope, Order: d.Order, Desired: true, Address: d.Address, Place: d.Place,
			Owner: private.Owner, Opaque: private.Opaque[d.ID],
		}
		if now.Revision != "" {
			note := private.Revisions[now.Revision]
			slot := deployer.Slot{Role: deployer.RoleServing, Health: deployer.Health(now.Health), Revision: deployer.RevisionInfo{
				ID: now.Revision, ReleaseID: now.Release, EnvironmentHashes: note.Variables, SecretNames: note.Secrets, SecretsVersion: note.SecretsVersion,
			}}
			if now.Health == HealthDrifted {
				slot.Health, slot.Incomplete = deployer.HealthHealthy, true
			}
			i.Slots = []deployer.Slot{slot}
		}
		state.Instances = append(state.Instances, i)
	}
	return state
}

// SameTarget says whether two configurations address the same with the same
// settings, so that nothing has to be contacted.
func SameTarget(a, b Target) bool {
	return a.Deployer == b.Deployer && a.ID() == b.ID() && bytes.Equal(canonical(a.Config), canonical(b.Config))
}

func canonical(raw json.RawMessage) []byte {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return b
}
