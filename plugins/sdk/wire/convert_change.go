// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"maps"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// The calls that change something.

func toAcquireRequest(r deployer.AcquireRequest) *pb.AcquireRequest {
	return &pb.AcquireRequest{
		Target: toTarget(r.Target), Previous: toPrevious(r.Previous), Operation: toOperation(r.Operation),
		Owner: toText(r.Owner), Lease: toDuration(r.Lease), Opaque: maps.Clone(r.Opaque),
	}
}

func fromAcquireRequest(r *pb.AcquireRequest) deployer.AcquireRequest {
	return deployer.AcquireRequest{
		Target: fromTarget(r.GetTarget()), Previous: fromPrevious(r.GetPrevious()),
		Operation: fromOperation(r.GetOperation()), Owner: r.GetOwner(), Lease: fromDuration(r.GetLease()),
		Opaque: fromMap(r.GetOpaque()),
	}
}

func toLock(l deployer.Lock) *pb.Lock {
	out := &pb.Lock{Token: toText(l.Token), Unreachable: toTexts(l.Unreachable)}
	if l.State != nil {
		out.State = toTargetState(*l.State)
	}
	return out
}

func fromLock(l *pb.Lock) deployer.Lock {
	out := deployer.Lock{Token: l.GetToken(), Unreachable: l.GetUnreachable()}
	if l.GetState() != nil {
		state := fromTargetState(l.GetState())
		out.State = &state
	}
	return out
}

func toRenewRequest(r deployer.RenewRequest) *pb.RenewRequest {
	return &pb.RenewRequest{
		Target: toTarget(r.Target), Previous: toPrevious(r.Previous), Token: toText(r.Token), Lease: toDuration(r.Lease),
	}
}

func fromRenewRequest(r *pb.RenewRequest) deployer.RenewRequest {
	return deployer.RenewRequest{
		Target: fromTarget(r.GetTarget()), Previous: fromPrevious(r.GetPrevious()),
		Token: r.GetToken(), Lease: fromDuration(r.GetLease()),
	}
}

func toReleaseRequest(r deployer.ReleaseRequest) *pb.ReleaseRequest {
	return &pb.ReleaseRequest{Target: toTarget(r.Target), Previous: toPrevious(r.Previous), Token: toText(r.Token)}
}

func fromReleaseRequest(r *pb.ReleaseRequest) deployer.ReleaseRequest {
	return deployer.ReleaseRequest{
		Target: fromTarget(r.GetTarget()), Previous: fromPrevious(r.GetPrevious()), Token: r.GetToken(),
	}
}

func toMutation(m deployer.Mutation) *pb.Mutation {
	return &pb.Mutation{
		Target: toTarget(m.Target), Instance: toText(m.Instance), Operation: toOperation(m.Operation),
		Owner: toText(m.Owner), Token: toText(m.Token), Opaque: m.Opaque,
	}
}

func fromMutation(m *pb.Mutation) deployer.Mutation {
	return deployer.Mutation{
		Target: fromTarget(m.GetTarget()), Instance: m.GetInstance(), Operation: fromOperation(m.GetOperation()),
		Owner: m.GetOwner(), Token: m.GetToken(), Opaque: fromBytes(m.GetOpaque()),
	}
}

func toPrepareRequest(r deployer.PrepareRequest) *pb.PrepareRequest {
	return &pb.PrepareRequest{Mutation: toMutation(r.Mutation), Revision: toRevision(r.Revision)}
}

func fromPrepareRequest(r *pb.PrepareRequest) deployer.PrepareRequest {
	return deployer.PrepareRequest{Mutation: fromMutation(r.GetMutation()), Revision: fromRevision(r.GetRevision())}
}

func toStageRequest(r deployer.StageRequest) *pb.StageRequest {
	return &pb.StageRequest{Mutation: toMutation(r.Mutation), RevisionId: toText(r.RevisionID)}
}

func fromStageRequest(r *pb.StageRequest) deployer.StageRequest {
	return deployer.StageRequest{Mutation: fromMutation(r.GetMutation()), RevisionID: r.GetRevisionId()}
}

func toActivateRequest(r deployer.ActivateRequest) *pb.ActivateRequest {
	return &pb.ActivateRequest{
		Mutation: toMutation(r.Mutation), RevisionId: toText(r.RevisionID), Pace: toPace(r.Pace),
	}
}

func fromActivateRequest(r *pb.ActivateRequest) deployer.ActivateRequest {
	return deployer.ActivateRequest{
		Mutation: fromMutation(r.GetMutation()), RevisionID: r.GetRevisionId(), Pace: fromPace(r.GetPace()),
	}
}

func toRetireRequest(r deployer.RetireRequest) *pb.RetireRequest {
	return &pb.RetireRequest{
		Mutation: toMutation(r.Mutation), RevisionId: toText(r.RevisionID), DrainTimeout: toDuration(r.DrainTimeout),
	}
}

func fromRetireRequest(r *pb.RetireRequest) deployer.RetireRequest {
	return deployer.RetireRequest{
		Mutation: fromMutation(r.GetMutation()), RevisionID: r.GetRevisionId(),
		DrainTimeout: fromDuration(r.GetDrainTimeout()),
	}
}

func toRemoveRequest(r deployer.RemoveRequest) *pb.RemoveRequest {
	return &pb.RemoveRequest{Mutation: toMutation(r.Mutation)}
}

func fromRemoveRequest(r *pb.RemoveRequest) deployer.RemoveRequest {
	return deployer.RemoveRequest{Mutation: fromMutation(r.GetMutation())}
}

func toShiftRequest(r deployer.ShiftRequest) *pb.ShiftRequest {
	out := &pb.ShiftRequest{
		Target: toTarget(r.Target), Scope: toText(r.Scope), Operation: toOperation(r.Operation),
		Owner: toText(r.Owner), Token: toText(r.Token),
	}
	for revision, share := range r.Shares {
		if out.Shares == nil {
			out.Shares = make(map[string]int64, len(r.Shares))
		}
		out.Shares[toText(revision)] = int64(share)
	}
	return out
}

func fromShiftRequest(r *pb.ShiftRequest) deployer.ShiftRequest {
	out := deployer.ShiftRequest{
		Target: fromTarget(r.GetTarget()), Scope: r.GetScope(), Operation: fromOperation(r.GetOperation()),
		Owner: r.GetOwner(), Token: r.GetToken(),
	}
	for revision, share := range r.GetShares() {
		if out.Shares == nil {
			out.Shares = make(map[string]int, len(r.GetShares()))
		}
		out.Shares[revision] = int(share)
	}
	return out
}

func toResult(r deployer.Result) *pb.Result {
	return &pb.Result{Runs: toText(r.Runs), Changed: r.Changed, Detail: toText(r.Detail), Opaque: r.Opaque}
}

func fromResult(r *pb.Result) deployer.Result {
	return deployer.Result{
		Runs: r.GetRuns(), Changed: r.GetChanged(), Detail: r.GetDetail(), Opaque: fromBytes(r.GetOpaque()),
	}
}

func toRecordRequest(r deployer.RecordRequest) *pb.RecordRequest {
	return &pb.RecordRequest{
		Target: toTarget(r.Target), Previous: toPrevious(r.Previous), Token: toText(r.Token), Entry: toEntry(r.Entry),
	}
}

func fromRecordRequest(r *pb.RecordRequest) deployer.RecordRequest {
	return deployer.RecordRequest{
		Target: fromTarget(r.GetTarget()), Previous: fromPrevious(r.GetPrevious()),
		Token: r.GetToken(), Entry: fromEntry(r.GetEntry()),
	}
}

func toPruneRequest(r deployer.PruneRequest) *pb.PruneRequest {
	return &pb.PruneRequest{
		Target: toTarget(r.Target), Owner: toText(r.Owner), Token: toText(r.Token),
		Keep: int64(r.Keep), Everything: r.Everything,
	}
}

func fromPruneRequest(r *pb.PruneRequest) deployer.PruneRequest {
	return deployer.PruneRequest{
		Target: fromTarget(r.GetTarget()), Owner: r.GetOwner(), Token: r.GetToken(),
		Keep: int(r.GetKeep()), Everything: r.GetEverything(),
	}
}

func toPruneResult(r deployer.PruneResult) *pb.PruneResult {
	out := &pb.PruneResult{}
	for instance, ids := range r.Removed {
		if out.Removed == nil {
			out.Removed = make(map[string]*pb.RevisionList, len(r.Removed))
		}
		out.Removed[toText(instance)] = &pb.RevisionList{Ids: toTexts(ids)}
	}
	return out
}

func fromPruneResult(r *pb.PruneResult) deployer.PruneResult {
	var out deployer.PruneResult
	for instance, list := range r.GetRemoved() {
		if out.Removed == nil {
			out.Removed = make(map[string][]string, len(r.GetRemoved()))
		}
		out.Removed[instance] = list.GetIds()
	}
	return out
}

func toRunRequest(r deployer.RunRequest) *pb.RunRequest {
	return &pb.RunRequest{
		Mutation: toMutation(r.Mutation), RevisionId: toText(r.RevisionID),
		Command: toTexts(r.Command), Timeout: toDuration(r.Timeout), Environment: toTextMap(r.Environment),
	}
}

func fromRunRequest(r *pb.RunRequest) deployer.RunRequest {
	return deployer.RunRequest{
		Mutation: fromMutation(r.GetMutation()), RevisionID: r.GetRevisionId(),
		Command: r.GetCommand(), Timeout: fromDuration(r.GetTimeout()), Environment: fromMap(r.GetEnvironment()),
	}
}

func toRunStageRequest(r deployer.RunStageRequest) *pb.RunStageRequest {
	return &pb.RunStageRequest{
		Config: r.Config, Workspace: toText(r.Workspace), Commands: toTexts(r.Commands),
		Environment: toTextMap(r.Environment), Secrets: toTextMap(r.Secrets), Timeout: toDuration(r.Timeout),
	}
}

func fromRunStageRequest(r *pb.RunStageRequest) deployer.RunStageRequest {
	return deployer.RunStageRequest{
		Config: fromJSON(r.GetConfig()), Workspace: r.GetWorkspace(), Commands: r.GetCommands(),
		Environment: fromMap(r.GetEnvironment()), Secrets: fromMap(r.GetSecrets()), Timeout: fromDuration(r.GetTimeout()),
	}
}

func toRunResult(r deployer.RunResult) *pb.RunResult {
	return &pb.RunResult{ExitCode: int64(r.ExitCode), Log: toLines(r.Log)}
}

func fromRunResult(r *pb.RunResult) deployer.RunResult {
	return deployer.RunResult{ExitCode: int(r.GetExitCode()), Log: r.GetLog()}
}

func toEvent(e deployer.Event) *pb.Event {
	return &pb.Event{
		Time: toTime(e.Time), Instance: toText(e.Instance), Phase: toText(e.Phase), Line: toLine(e.Line),
		Done: e.Done, Total: e.Total,
	}
}

func fromEvent(e *pb.Event) deployer.Event {
	return deployer.Event{
		Time: fromTime(e.GetTime()), Instance: e.GetInstance(), Phase: e.GetPhase(), Line: e.GetLine(),
		Done: e.GetDone(), Total: e.GetTotal(),
	}
}
