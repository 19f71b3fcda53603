// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

func toTarget(t deployer.Target) *pb.Target {
	return &pb.Target{Environment: toText(t.Environment), Deployment: toText(t.Deployment), Config: t.Config}
}

func fromTarget(t *pb.Target) deployer.Target {
	return deployer.Target{
		Environment: t.GetEnvironment(), Deployment: t.GetDeployment(), Config: fromJSON(t.GetConfig()),
	}
}

func toPrevious(t *deployer.Target) *pb.Target {
	if t == nil {
		return nil
	}
	return toTarget(*t)
}

func fromPrevious(t *pb.Target) *deployer.Target {
	if t == nil {
		return nil
	}
	out := fromTarget(t)
	return &out
}

func toRevisionInfo(r deployer.RevisionInfo) *pb.RevisionInfo {
	return &pb.RevisionInfo{
		Id: toText(r.ID), ReleaseId: toText(r.ReleaseID), Version: toText(r.Version), Commit: toText(r.Commit),
		ArtifactDigest: toText(r.ArtifactDigest), Config: r.Config,
		EnvironmentHashes: toTextMap(r.EnvironmentHashes),
		SecretNames:       toTexts(r.SecretNames), SecretsVersion: r.SecretsVersion,
	}
}

func fromRevisionInfo(r *pb.RevisionInfo) deployer.RevisionInfo {
	return deployer.RevisionInfo{
		ID: r.GetId(), ReleaseID: r.GetReleaseId(), Version: r.GetVersion(), Commit: r.GetCommit(),
		ArtifactDigest: r.GetArtifactDigest(), Config: fromJSON(r.GetConfig()),
		EnvironmentHashes: fromMap(r.GetEnvironmentHashes()),
		SecretNames:       r.GetSecretNames(), SecretsVersion: r.GetSecretsVersion(),
	}
}

func toRevision(r deployer.Revision) *pb.Revision {
	return &pb.Revision{
		Info: toRevisionInfo(r.RevisionInfo), Environment: toTextMap(r.Environment), Secrets: toTextMap(r.Secrets),
		Artifact: &pb.Artifact{
			MediaType: toText(r.Artifact.MediaType), Digest: toText(r.Artifact.Digest), Size: r.Artifact.Size,
			Path: toText(r.Artifact.Path), Reference: toText(r.Artifact.Reference),
		},
	}
}

func fromRevision(r *pb.Revision) deployer.Revision {
	a := r.GetArtifact()
	return deployer.Revision{
		RevisionInfo: fromRevisionInfo(r.GetInfo()),
		Environment:  fromMap(r.GetEnvironment()), Secrets: fromMap(r.GetSecrets()),
		Artifact: deployer.Artifact{
			MediaType: a.GetMediaType(), Digest: a.GetDigest(), Size: a.GetSize(),
			Path: a.GetPath(), Reference: a.GetReference(),
		},
	}
}

func toOperation(o deployer.Operation) *pb.Operation {
	return &pb.Operation{Id: toText(o.ID), Kind: toText(o.Kind), Actor: toText(o.Actor), Started: toTime(o.Started)}
}

func fromOperation(o *pb.Operation) deployer.Operation {
	return deployer.Operation{
		ID: o.GetId(), Kind: o.GetKind(), Actor: o.GetActor(), Started: fromTime(o.GetStarted()),
	}
}

func toTargetState(s deployer.TargetState) *pb.TargetState {
	out := &pb.TargetState{
		Owner: toText(s.Owner), Generation: s.Generation,
		Failed: each(s.Failed, toFailedRevision), Instances: each(s.Instances, toInstance),
	}
	if s.LastGood != nil {
		out.LastGood = toRevisionInfo(*s.LastGood)
	}
	if s.Unfinished != nil {
		out.Unfinished = toOperation(*s.Unfinished)
	}
	return out
}

func fromTargetState(s *pb.TargetState) deployer.TargetState {
	out := deployer.TargetState{
		Owner: s.GetOwner(), Generation: s.GetGeneration(),
		Failed: each(s.GetFailed(), fromFailedRevision), Instances: each(s.GetInstances(), fromInstance),
	}
	if s.GetLastGood() != nil {
		good := fromRevisionInfo(s.GetLastGood())
		out.LastGood = &good
	}
	if s.GetUnfinished() != nil {
		unfinished := fromOperation(s.GetUnfinished())
		out.Unfinished = &unfinished
	}
	return out
}

func toFailedRevision(f deployer.FailedRevision) *pb.FailedRevision {
	return &pb.FailedRevision{
		Revision: toRevisionInfo(f.Revision), Reason: toText(f.Reason),
		Operation: toText(f.Operation), Time: toTime(f.Time),
	}
}

func fromFailedRevision(f *pb.FailedRevision) deployer.FailedRevision {
	return deployer.FailedRevision{
		Revision: fromRevisionInfo(f.GetRevision()), Reason: f.GetReason(),
		Operation: f.GetOperation(), Time: fromTime(f.GetTime()),
	}
}

func toInstance(i deployer.Instance) *pb.Instance {
	return &pb.Instance{
		Id: toText(i.ID), Scope: toText(i.Scope), Order: int64(i.Order), Desired: i.Desired,
		Address: toText(i.Address), Place: toText(i.Place), Unreachable: toText(i.Unreachable), Owner: toText(i.Owner),
		Slots: each(i.Slots, toSlot), Parts: each(i.Parts, toPart), Drift: each(i.Drift, toDrift), Opaque: i.Opaque,
	}
}

func fromInstance(i *pb.Instance) deployer.Instance {
	return deployer.Instance{
		ID: i.GetId(), Scope: i.GetScope(), Order: int(i.GetOrder()), Desired: i.GetDesired(),
		Address: i.GetAddress(), Place: i.GetPlace(), Unreachable: i.GetUnreachable(), Owner: i.GetOwner(),
		Slots: each(i.GetSlots(), fromSlot), Parts: each(i.GetParts(), fromPart), Drift: each(i.GetDrift(), fromDrift),
		Opaque: fromBytes(i.GetOpaque()),
	}
}

func toSlot(s deployer.Slot) *pb.Slot {
	return &pb.Slot{
		Role: toText(string(s.Role)), Revision: toRevisionInfo(s.Revision), Incomplete: s.Incomplete,
		Health: toText(string(s.Health)), Detail: toText(s.Detail), Share: int64(s.Share),
		Address: toText(s.Address), Since: toTime(s.Since),
	}
}

func fromSlot(s *pb.Slot) deployer.Slot {
	return deployer.Slot{
		Role: deployer.Role(s.GetRole()), Revision: fromRevisionInfo(s.GetRevision()), Incomplete: s.GetIncomplete(),
		Health: deployer.Health(s.GetHealth()), Detail: s.GetDetail(), Share: int(s.GetShare()),
		Address: s.GetAddress(), Since: fromTime(s.GetSince()),
	}
}

func toPart(p deployer.Part) *pb.Part {
	return &pb.Part{
		Name: toText(p.Name), Revision: toText(p.Revision), Health: toText(string(p.Health)), Detail: toText(p.Detail),
	}
}

func fromPart(p *pb.Part) deployer.Part {
	return deployer.Part{
		Name: p.GetName(), Revision: p.GetRevision(), Health: deployer.Health(p.GetHealth()), Detail: p.GetDetail(),
	}
}

func toDrift(d deployer.Drift) *pb.Drift {
	return &pb.Drift{
		What: toText(d.What), Expected: toText(d.Expected), Actual: toText(d.Actual), By: toText(d.By),
	}
}

func fromDrift(d *pb.Drift) deployer.Drift {
	return deployer.Drift{What: d.GetWhat(), Expected: d.GetExpected(), Actual: d.GetActual(), By: d.GetBy()}
}

func toEntry(e deployer.Entry) *pb.Entry {
	return &pb.Entry{
		Schema: int64(e.Schema), Phase: toText(e.Phase), Operation: toOperation(e.Operation),
		Environment: toText(e.Environment), Deployment: toText(e.Deployment), Owner: toText(e.Owner),
		Generation: e.Generation, Time: toTime(e.Time), To: toRevisionInfo(e.To),
		From: toTextMap(e.From), Runs: toTextMap(e.Runs), Outcome: toText(string(e.Outcome)), Reason: toText(e.Reason),
		Strategy: toText(e.Strategy), Steps: each(e.Steps, toEntryStep),
	}
}

func fromEntry(e *pb.Entry) deployer.Entry {
	return deployer.Entry{
		Schema: int(e.GetSchema()), Phase: e.GetPhase(), Operation: fromOperation(e.GetOperation()),
		Environment: e.GetEnvironment(), Deployment: e.GetDeployment(), Owner: e.GetOwner(),
		Generation: e.GetGeneration(), Time: fromTime(e.GetTime()), To: fromRevisionInfo(e.GetTo()),
		From: fromMap(e.GetFrom()), Runs: fromMap(e.GetRuns()),
		Outcome: deployer.Outcome(e.GetOutcome()), Reason: e.GetReason(),
		Strategy: e.GetStrategy(), Steps: each(e.GetSteps(), fromEntryStep),
	}
}

func toEntryStep(s deployer.EntryStep) *pb.EntryStep {
	return &pb.EntryStep{
		Name: toText(s.Name), Instances: toTexts(s.Instances),
		Started: toTime(s.Started), Ended: toTime(s.Ended), Error: toText(s.Error),
	}
}

func fromEntryStep(s *pb.EntryStep) deployer.EntryStep {
	return deployer.EntryStep{
		Name: s.GetName(), Instances: s.GetInstances(),
		Started: fromTime(s.GetStarted()), Ended: fromTime(s.GetEnded()), Error: s.GetError(),
	}
}
