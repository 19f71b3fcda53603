// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// inspectTimeout bounds the look at one instance.
const inspectTimeout = 20 * time.Second

// Observed is what a look at the target found.
type Observed struct {
	State   State
	Private Private
	// Reached is false when no instance at all could be observed.
	Reached bool
}

// Observe looks at the target and merges what it saw into what was known.
// Instances that cannot be reached keep what the state says, with a note.
func (s *Service) Observe(ctx context.Context, target Target, known State, private Private) (Observed, error) {
	d, err := s.open(ctx, target.Deployer)
	if err != nil {
		return Observed{}, err
	}
	validation, err := d.Validate(ctx, deployer.ValidateRequest{Target: target.wire()})
	if err != nil {
		return Observed{}, err
	}
	seen, err := d.Inspect(ctx, deployer.InspectRequest{Target: target.wire(), Opaque: private.Opaque, Timeout: inspectTimeout})
	if err != nil {
		return Observed{}, err
	}
	for _, t := range private.Tombstones {
		if err := s.observeTombstone(ctx, d, target, t, &seen); err != nil {
			return Observed{}, err
		}
	}
	return merge(asConfigured(seen, validation.Instances), known, private), nil
}

// observeTombstone adds a removed instance to what was seen, so that one that
// answers again and still carries the deployment shows in the plan.
func (s *Service) observeTombstone(ctx context.Context, d *session, target Target, t Tombstone, seen *deployer.TargetState) error {
	previous := t.Target.wire()
	found, err := d.Inspect(ctx, deployer.InspectRequest{Target: target.wire(), Previous: &previous, Timeout: inspectTimeout})
	if err != nil {
		return err
	}
	for _, i := range found.Instances {
		if !i.Desired && i.ID == t.Instance && i.Place == t.Place {
			seen.Instances = append(seen.Instances, i)
		}
	}
	return nil
}

// asConfigured gives the desired instances the addresses and places with which
// they are planned. What a deployer observed instead is an address of the
// serving slot.
func asConfigured(seen deployer.TargetState, desired []deployer.DesiredInstance) deployer.TargetState {
	seen.Instances = slices.Clone(seen.Instances)
	for n := range seen.Instances {
		i := &seen.Instances[n]
		at := slices.IndexFunc(desired, func(d deployer.DesiredInstance) bool { return d.ID == i.ID })
		if at < 0 || desired[at].AddressUnknown || !i.Desired {
			continue
		}
		i.Slots = slices.Clone(i.Slots)
		if slot := i.Serving(); slot != nil && slot.Address == "" && i.Address != desired[at].Address {
			slot.Address = i.Address
		}
		i.Address, i.Place = desired[at].Address, desired[at].Place
	}
	return seen
}

// merge is the pure half of Observe: what was seen over what was known.
func merge(seen deployer.TargetState, known State, private Private) Observed {
	private.Schema = PrivateSchema
	private.Generation = max(private.Generation, seen.Generation)
	if private.Owner == "" {
		private.Owner = seen.Owner
	}
	private.Notes, private.Failed = nil, nil
	for _, f := range seen.Failed {
		private.Failed = append(private.Failed, FailedNote{Revision: f.Revision.ID, Release: f.Revision.ReleaseID, Reason: f.Reason, Time: f.Time})
	}
	out := Observed{State: known, Private: private}
	out.State.Instances = map[string]Instance{}
	out.State.Details = map[string]Detail{}
	out.Private.Places = maps.Clone(private.Places)
	if out.Private.Places == nil {
		out.Private.Places = map[string]string{}
	}
	out.Private.Opaque = maps.Clone(private.Opaque)
	tombstones := unseen(private.Tombstones, seen.Instances)
	for _, i := range seen.Instances {
		if i.Unreachable == "" {
			out.Reached = true
		}
		if !i.Desired {
			stays := tombstoneOf(private.Tombstones, i)
			switch {
			case i.Unreachable != "":
				if stays != nil {
					tombstones = append(tombstones, *stays)
					out.note(Note{Instance: i.ID, Unreachable: true, Text: "was removed from the configuration, could not be reached then, and cannot be reached now: " + i.Unreachable + ". What it runs is not taken off yet; this is tried again."})
				}
				continue
			case i.Owner == "" && len(i.Slots) == 0, i.Owner != private.Owner:
				continue // gone, or somebody else's by now
			case stays != nil:
				tombstones = append(tombstones, *stays)
			}
		}
		out.add(i, known)
	}
	out.Private.Tombstones = tombstones
	if seen.Unfinished != nil {
		out.note(Note{Text: fmt.Sprintf("The operation %q of %s, begun %s, did not end. The next apply finishes the job.", seen.Unfinished.Kind, seen.Unfinished.Actor, seen.Unfinished.Started.UTC().Format(time.RFC3339))})
	}
	if out.Reached {
		out.Private.LastGood, out.Private.Unfinished = "", seen.Unfinished != nil
		if seen.LastGood != nil {
			out.Private.LastGood = seen.LastGood.ID
		}
	}
	out.Private.Revisions = notesOf(seen.Instances, out.State.Instances, private.Revisions)
	out.State.RunningReleaseID = commonRelease(out.State.Instances)
	return out
}

func (o *Observed) note(n Note) { o.Private.Notes = append(o.Private.Notes, n) }

// add puts one instance into the state.
func (o *Observed) add(i deployer.Instance, known State) {
	before, had := known.Instances[i.ID]
	if i.Unreachable != "" {
		o.note(Note{Instance: i.ID, Unreachable: true, Text: "cannot be reached: " + i.Unreachable + ". The state keeps what was last known."})
		if had {
			o.State.Instances[i.ID] = before
			o.State.Details[i.ID] = known.Details[i.ID]
		}
		return
	}
	if i.Desired {
		o.Private.Places[i.ID] = i.Place
	} else if _, desired := o.State.Instances[i.ID]; desired {
		i.ID += " at " + i.Place // moved, and still at its other place too
	}
	if len(i.Opaque) > 0 {
		if o.Private.Opaque == nil {
			o.Private.Opaque = map[string][]byte{}
		}
		o.Private.Opaque[i.ID] = i.Opaque
	}
	now, detail := describeInstance(i)
	if now.Health != HealthMissing || had {
		o.State.Instances[i.ID] = now
		o.State.Details[i.ID] = detail
	}
	if o.Private.Owner != "" && i.Owner != "" && i.Owner != o.Private.Owner {
		o.note(Note{Instance: i.ID, Text: "carries another owner's mark: another resource deploys to it."})
	}
	if revisions := beside(i); len(revisions) > 0 {
		o.note(Note{Instance: i.ID, Text: "also runs " + strings.Join(revisions, " and ") + ", without traffic; the next apply stops it."})
	}
	for _, d := range i.Drift {
		o.note(Note{Instance: i.ID, Text: driftText(d)})
	}
	if slot := i.Serving(); slot != nil && slot.Health != deployer.HealthHealthy && slot.Detail != "" {
		o.note(Note{Instance: i.ID, Text: string(slot.Health) + ": " + slot.Detail})
	}
}

// beside lists the revisions that run on an instance without traffic: a rollout
// was cut off, or could not stop them.
func beside(i deployer.Instance) []string {
	var revisions []string
	for _, slot := range i.Slots {
		if slot.Role == deployer.RoleStaged {
			revisions = append(revisions, slot.Revision.ID)
		}
	}
	return revisions
}

// describeInstance says in the words of the attributes what an instance runs.
func describeInstance(i deployer.Instance) (Instance, Detail) {
	slot := i.Serving()
	if slot == nil {
		return Instance{Health: HealthMissing, Address: i.Address}, Detail{ObservedHealth: HealthMissing}
	}
	health := string(slot.Health)
	switch {
	case slot.Health == deployer.HealthHealthy && (slot.Incomplete || len(i.Drift) > 0 || len(beside(i)) > 0):
		health = HealthDrifted
	}
	detail := Detail{Digest: slot.Revision.ArtifactDigest, Address: slot.Address, ObservedHealth: health}
	if !slot.Since.IsZero() {
		detail.Since = slot.Since.UTC().Format(time.RFC3339)
	}
	return Instance{Release: slot.Revision.ReleaseID, Revision: slot.Revision.ID, Health: health, Address: i.Address}, detail
}

func driftText(d deployer.Drift) string {
	text := fmt.Sprintf("%s was changed: expected %s, found %s", d.What, d.Expected, d.Actual)
	if d.By != "" {
		text += ", by " + d.By
	}
	return text
}

func tombstoneOf(all []Tombstone, i deployer.Instance) *Tombstone {
	n := slices.IndexFunc(all, func(t Tombstone) bool { return t.Instance == i.ID && t.Place == i.Place })
	if n < 0 {
		return nil
	}
	return &all[n]
}

// unseen keeps the tombstones of instances that nobody looked at.
func unseen(all []Tombstone, seen []deployer.Instance) []Tombstone {
	return slices.DeleteFunc(slices.Clone(all), func(t Tombstone) bool {
		return slices.ContainsFunc(seen, func(i deployer.Instance) bool { return i.ID == t.Instance && i.Place == t.Place })
	})
}

// commonRelease is the release that every instance runs, or "".
func commonRelease(instances map[string]Instance) string {
	common := ""
	for _, i := range instances {
		if i.Release == "" || common != "" && i.Release != common {
			return ""
		}
		common = i.Release
	}
	return common
}
