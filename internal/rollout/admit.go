// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// admit decides, under the lock and before anything is written, whether this
// plan may change this target. It returns nil if it may.
func (r *run) admit(ctx context.Context) *Error {
	if e := r.admitOwner(ctx); e != nil {
		return e
	}
	if e := r.admitGeneration(ctx); e != nil {
		return e
	}
	if e := r.admitBytes(); e != nil {
		return e
	}
	if e := r.admitFailed(); e != nil {
		return e
	}
	return r.admitReach()
}

// admitBytes refuses a release that is on the target with other bytes: a
// release never changes, so one of the two is not what it says it is.
func (r *run) admitBytes() *Error {
	want := r.plan.Revision
	for _, m := range r.members {
		for _, slot := range m.found.Slots {
			have := slot.Revision
			if have.ReleaseID != want.ReleaseID || have.ArtifactDigest == "" || want.ArtifactDigest == "" || have.ArtifactDigest == want.ArtifactDigest {
				continue
			}
			return r.refusal(ReasonChanged, "nothing was changed: release "+want.ReleaseID+" has other bytes than before", &deployer.Error{
				Code: deployer.CodeFailed, Instance: m.ID,
				Message: fmt.Sprintf("release %s is on %s with the artifact %s, and the store has it with %s", want.ReleaseID, m.ID, have.ArtifactDigest, want.ArtifactDigest),
				Advice:  "A release never changes, so this is another one under its name: make a release with a new version, or bring the store back that has the first one.",
			})
		}
	}
	return nil
}

// admitFailed refuses a revision that failed here before, if the plan asks so.
func (r *run) admitFailed() *Error {
	failed := r.out.State.Failed
	n := slices.IndexFunc(failed, func(f deployer.FailedRevision) bool { return f.Revision.ID == r.plan.Revision.ID })
	if n < 0 || !r.plan.Revert.RefuseFailed {
		return nil
	}
	return r.refusal(ReasonFailedBefore, "nothing was changed: "+r.name(r.plan.Revision.ID)+" failed here before", &deployer.Error{
		Code:    deployer.CodeFailed,
		Message: fmt.Sprintf("%s failed on this target at %s: %s", r.name(r.plan.Revision.ID), failed[n].Time.UTC().Format(time.RFC3339), failed[n].Reason),
		Advice:  "Deploy another release or configuration. To try this one again, set revert.retry_failed = true.",
	})
}

// admitOwner refuses a complete deployment that is not ours.
func (r *run) admitOwner(ctx context.Context) *Error {
	state := &r.out.State
	foreign := r.foreign(state.Owner)
	var where []string
	for _, m := range r.members {
		if r.foreign(m.found.Owner) {
			where = append(where, m.ID)
		}
	}
	if r.plan.MayAdopt || !foreign && len(where) == 0 {
		return nil
	}
	if foreign && !r.complete() {
		r.note(StepAdmit, "taking over what an unfinished operation of another owner left")
		return nil
	}
	if !foreign && state.LastGood == nil {
		return nil // our own beginning, half recorded
	}
	name := r.plan.Target.Environment + "/" + r.plan.Target.Deployment
	message := "another deployment named " + name + " is there already"
	if len(where) > 0 {
		message += ", on " + list(where)
	}
	if state.LastGood != nil && foreign {
		message += ": " + r.name(state.LastGood.ID)
		if since := r.servingSince(); !since.IsZero() {
			message += ", for " + age(r.clock.Now().Sub(since))
		}
	}
	if entry := r.latest(ctx); entry != nil {
		message += "; put there by " + byWhom(entry.Operation)
	}
	return r.refusal(ReasonForeign, "nothing was changed: the target belongs to another deployment", &deployer.Error{
		Code: deployer.CodeNotOwner, Message: message,
		Advice: "To manage it here, import it: terraform import delivery_deployment.<name> " + name + ". Otherwise choose another name or another place.",
	})
}

func (r *run) foreign(owner string) bool { return owner != "" && owner != r.plan.Owner }

// complete says whether what is there was once finished, and not being removed.
func (r *run) complete() bool {
	state := &r.out.State
	if state.LastGood == nil {
		return false
	}
	if state.Unfinished == nil || state.Unfinished.Kind != deployer.OperationRemove {
		return true
	}
	for n := range state.Instances {
		if i := &state.Instances[n]; i.Unreachable != "" || i.Serving() != nil {
			return true
		}
	}
	return false
}

// admitGeneration refuses a target that somebody changed since the plan.
func (r *run) admitGeneration(ctx context.Context) *Error {
	state := &r.out.State
	if r.plan.Generation == 0 || state.Generation <= r.plan.Generation {
		return nil
	}
	message := "the target changed since this plan"
	if state.Unfinished != nil {
		message += ", by " + byWhom(*state.Unfinished) + ", which has not ended"
	} else if entry := r.latest(ctx); entry != nil {
		message += ", by " + byWhom(entry.Operation)
	}
	return r.refusal(ReasonChanged, "nothing was changed: the target changed since this plan", &deployer.Error{
		Code:    deployer.CodeFailed,
		Message: message + fmt.Sprintf(" (the ledger is at generation %d, the plan saw %d)", state.Generation, r.plan.Generation),
		Advice:  "Plan again, look at what changed, and apply that plan.",
	})
}

// admitReach refuses to begin when a desired instance cannot be reached.
func (r *run) admitReach() *Error {
	var failures []Failure
	for _, m := range r.members {
		if m.found.Unreachable != "" {
			failures = append(failures, Failure{Instance: m.ID, Step: StepInspect, Err: &deployer.Error{
				Code: deployer.CodeUnreachable, Instance: m.ID, Step: string(StepInspect), Message: "cannot be reached: " + m.found.Unreachable,
			}})
		}
	}
	if len(failures) == 0 {
		return nil
	}
	r.out.Failures = failures
	return r.report(ReasonUnreachable, "nothing was changed: "+count(len(failures), "instance")+" cannot be reached")
}

// refusal reports one reason that concerns the whole target.
func (r *run) refusal(why Reason, summary string, err *deployer.Error) *Error {
	r.out.Failures = append(r.out.Failures, Failure{Step: StepAdmit, Err: err})
	return r.report(why, summary)
}

// latest is the newest entry of the ledger, or nil.
func (r *run) latest(ctx context.Context) *deployer.Entry {
	if entries := r.history(ctx, 1); len(entries) > 0 {
		return &entries[0]
	}
	return nil
}

// history is the ledger, newest first; nothing if it cannot be read.
func (r *run) history(ctx context.Context, limit int) []deployer.Entry {
	if !r.can(deployer.CanRecord) {
		return nil
	}
	var entries []deployer.Entry
	err := r.call(StepHistory, "", func() (err error) {
		entries, err = r.engine.Deployer.History(ctx, deployer.HistoryRequest{Target: r.plan.Target, Limit: limit})
		return err
	})
	if err != nil {
		return nil
	}
	return entries
}

func (r *run) servingSince() time.Time {
	var since time.Time
	for n := range r.out.State.Instances {
		if s := r.out.State.Instances[n].Serving(); s != nil && s.Since.After(since) {
			since = s.Since
		}
	}
	return since
}

// byWhom names an operation with its actor and time.
func byWhom(op deployer.Operation) string {
	var parts []string
	if op.Actor != "" {
		parts = append(parts, op.Actor+",")
	}
	parts = append(parts, operation(op))
	if !op.Started.IsZero() {
		parts = append(parts, "at "+op.Started.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, " ")
}
