// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"maps"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// The calls that change nothing.

func toDescription(d deployer.Description) *pb.Description {
	return &pb.Description{
		Name: toText(d.Name), Version: toText(d.Version),
		ConnectionSchema: d.ConnectionSchema, TargetSchema: d.TargetSchema,
		Capabilities:  each(d.Capabilities, func(c deployer.Capability) string { return toText(string(c)) }),
		ArtifactKinds: toTexts(d.ArtifactKinds),
	}
}

func fromDescription(d *pb.Description) deployer.Description {
	return deployer.Description{
		Name: d.GetName(), Version: d.GetVersion(),
		ConnectionSchema: fromJSON(d.GetConnectionSchema()), TargetSchema: fromJSON(d.GetTargetSchema()),
		Capabilities:  each(d.GetCapabilities(), func(c string) deployer.Capability { return deployer.Capability(c) }),
		ArtifactKinds: d.GetArtifactKinds(),
	}
}

func toConfigureRequest(r deployer.ConfigureRequest) *pb.ConfigureRequest {
	return &pb.ConfigureRequest{Connection: r.Connection, Ssh: r.SSH, Directory: toText(r.Directory)}
}

func fromConfigureRequest(r *pb.ConfigureRequest) deployer.ConfigureRequest {
	return deployer.ConfigureRequest{
		Connection: fromJSON(r.GetConnection()), SSH: fromJSON(r.GetSsh()), Directory: r.GetDirectory(),
	}
}

func toPace(p deployer.Pace) *pb.Pace {
	return &pb.Pace{
		MaxUnavailable: int64(p.MaxUnavailable), Surge: int64(p.Surge), MinReady: toDuration(p.MinReady),
	}
}

func fromPace(p *pb.Pace) deployer.Pace {
	return deployer.Pace{
		MaxUnavailable: int(p.GetMaxUnavailable()), Surge: int(p.GetSurge()), MinReady: fromDuration(p.GetMinReady()),
	}
}

func toValidateRequest(r deployer.ValidateRequest) *pb.ValidateRequest {
	return &pb.ValidateRequest{Target: toTarget(r.Target), Pace: toPace(r.Pace)}
}

func fromValidateRequest(r *pb.ValidateRequest) deployer.ValidateRequest {
	return deployer.ValidateRequest{Target: fromTarget(r.GetTarget()), Pace: fromPace(r.GetPace())}
}

func toDiagnostic(d deployer.Diagnostic) *pb.Diagnostic {
	return &pb.Diagnostic{
		Warning: d.Warning, Path: toTexts(d.Path), Summary: toText(d.Summary), Detail: toText(d.Detail),
	}
}

func fromDiagnostic(d *pb.Diagnostic) deployer.Diagnostic {
	return deployer.Diagnostic{
		Warning: d.GetWarning(), Path: d.GetPath(), Summary: d.GetSummary(), Detail: d.GetDetail(),
	}
}

func toDesiredInstance(i deployer.DesiredInstance) *pb.DesiredInstance {
	return &pb.DesiredInstance{
		Id: toText(i.ID), Scope: toText(i.Scope), Order: int64(i.Order),
		Address: toText(i.Address), Place: toText(i.Place), AddressUnknown: i.AddressUnknown,
	}
}

func fromDesiredInstance(i *pb.DesiredInstance) deployer.DesiredInstance {
	return deployer.DesiredInstance{
		ID: i.GetId(), Scope: i.GetScope(), Order: int(i.GetOrder()),
		Address: i.GetAddress(), Place: i.GetPlace(), AddressUnknown: i.GetAddressUnknown(),
	}
}

func toValidation(v deployer.Validation) *pb.Validation {
	return &pb.Validation{
		Diagnostics: each(v.Diagnostics, toDiagnostic), Instances: each(v.Instances, toDesiredInstance),
		InstancesUnknown: v.InstancesUnknown,
	}
}

func fromValidation(v *pb.Validation) deployer.Validation {
	return deployer.Validation{
		Diagnostics: each(v.GetDiagnostics(), fromDiagnostic), Instances: each(v.GetInstances(), fromDesiredInstance),
		InstancesUnknown: v.GetInstancesUnknown(),
	}
}

func toInspectRequest(r deployer.InspectRequest) *pb.InspectRequest {
	return &pb.InspectRequest{
		Target: toTarget(r.Target), Previous: toPrevious(r.Previous),
		Opaque: maps.Clone(r.Opaque), Timeout: toDuration(r.Timeout),
	}
}

func fromInspectRequest(r *pb.InspectRequest) deployer.InspectRequest {
	return deployer.InspectRequest{
		Target: fromTarget(r.GetTarget()), Previous: fromPrevious(r.GetPrevious()),
		Opaque: fromMap(r.GetOpaque()), Timeout: fromDuration(r.GetTimeout()),
	}
}

func toPreviewRequest(r deployer.PreviewRequest) *pb.PreviewRequest {
	return &pb.PreviewRequest{
		Target: toTarget(r.Target), Revision: toRevision(r.Revision), State: toTargetState(r.State),
	}
}

func fromPreviewRequest(r *pb.PreviewRequest) deployer.PreviewRequest {
	return deployer.PreviewRequest{
		Target: fromTarget(r.GetTarget()), Revision: fromRevision(r.GetRevision()), State: fromTargetState(r.GetState()),
	}
}

func toPreview(p deployer.Preview) *pb.PreviewResponse {
	return &pb.PreviewResponse{Findings: each(p.Findings, toDiagnostic)}
}

func fromPreview(p *pb.PreviewResponse) deployer.Preview {
	return deployer.Preview{Findings: each(p.GetFindings(), fromDiagnostic)}
}

func toCheckRequest(r deployer.CheckRequest) *pb.CheckRequest {
	return &pb.CheckRequest{
		Target: toTarget(r.Target), Instance: toText(r.Instance), RevisionId: toText(r.RevisionID), Probe: toProbe(r.Probe),
		Timeout: toDuration(r.Timeout), Wait: toDuration(r.Wait), Opaque: r.Opaque,
	}
}

func fromCheckRequest(r *pb.CheckRequest) deployer.CheckRequest {
	return deployer.CheckRequest{
		Target: fromTarget(r.GetTarget()), Instance: r.GetInstance(), RevisionID: r.GetRevisionId(),
		Probe: fromProbe(r.GetProbe()), Timeout: fromDuration(r.GetTimeout()), Wait: fromDuration(r.GetWait()),
		Opaque: fromBytes(r.GetOpaque()),
	}
}

func toCheckResult(r deployer.CheckResult) *pb.CheckResult {
	return &pb.CheckResult{Status: toText(string(r.Status)), Reason: toText(r.Reason), Log: toLines(r.Log)}
}

func fromCheckResult(r *pb.CheckResult) deployer.CheckResult {
	return deployer.CheckResult{
		Status: deployer.CheckStatus(r.GetStatus()), Reason: r.GetReason(), Log: r.GetLog(),
	}
}

func toHistoryRequest(r deployer.HistoryRequest) *pb.HistoryRequest {
	return &pb.HistoryRequest{Target: toTarget(r.Target), Since: toTime(r.Since), Limit: int64(r.Limit)}
}

func fromHistoryRequest(r *pb.HistoryRequest) deployer.HistoryRequest {
	return deployer.HistoryRequest{
		Target: fromTarget(r.GetTarget()), Since: fromTime(r.GetSince()), Limit: int(r.GetLimit()),
	}
}

func toLogsRequest(r deployer.LogsRequest) *pb.LogsRequest {
	return &pb.LogsRequest{
		Target: toTarget(r.Target), Instance: toText(r.Instance), Lines: int64(r.Lines), Follow: r.Follow,
	}
}

func fromLogsRequest(r *pb.LogsRequest) deployer.LogsRequest {
	return deployer.LogsRequest{
		Target: fromTarget(r.GetTarget()), Instance: r.GetInstance(), Lines: int(r.GetLines()), Follow: r.GetFollow(),
	}
}
