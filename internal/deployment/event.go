// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// eventTimeout bounds the copy of a ledger entry to the store: the ledger on
// the target is the truth, so the copy may be late or missing.
const eventTimeout = 15 * time.Second

// recordEvent leaves a copy of the operation's end with the release. Runners
// often may only pull, so not being able to write is only a note in the log.
func (s *Service) recordEvent(ctx context.Context, bytes *artifactSource, req ApplyRequest, plan rollout.Plan, outcome rollout.Outcome) {
	release, known := bytes.lookUp(ctx)
	if !known || outcome.Result == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eventTimeout)
	defer cancel()
	event := store.Event{
		Environment: plan.Target.Environment,
		Deployment:  plan.Target.Deployment,
		Operation:   plan.Operation.ID,
		Kind:        plan.Operation.Kind,
		Actor:       plan.Operation.Actor,
		Outcome:     string(outcome.Result),
		Release:     plan.Revision.ReleaseID,
		Revision:    plan.Revision.ID,
		Commit:      plan.Revision.Commit,
		Started:     plan.Operation.Started,
		Ended:       outcome.Finished.UTC(),
	}
	if len(outcome.Failures) > 0 {
		event.Reason = outcome.Failures[0].Err.Error()
		if req.Redact != nil {
			event.Reason = req.Redact(event.Reason)
		}
	}
	if err := bytes.store.PutEvent(ctx, release.Pipeline, event); err != nil && s.Progress != nil {
		s.Progress(rollout.Event{Time: s.now(), Kind: rollout.EventNote, Message: "no copy of the ledger's entry in the store", Err: err})
	}
}
