// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// EvidenceMode says what becomes of the copy in the store of what the target's
// ledger tells. The zero value is EvidenceBestEffort.
type EvidenceMode string

// The modes of evidence.
const (
	// EvidenceBestEffort: what cannot be sent is a warning, and a later
	// operation that may write to the store sends it.
	EvidenceBestEffort EvidenceMode = "best_effort"
	// EvidenceRequired: the right to write is proven before anything is
	// switched, and what cannot be sent afterwards is an error.
	EvidenceRequired EvidenceMode = "required"
	// EvidenceOff: nothing is sent.
	EvidenceOff EvidenceMode = "off"
)

const adviceBeforeRemoval = `Or set evidence to "best_effort" or "off", apply that, and destroy then`

// How long evidence may take: none of it holds up a switch.
const (
	proofTimeout    = 30 * time.Second
	evidenceTimeout = time.Minute      // all of it, after an operation
	eventTimeout    = 15 * time.Second // one event, or one look at the ledger
)

// evidence sends to the store what one apply or removal, and those before it,
// left in the ledger.
type evidence struct {
	service  *Service
	deployer *session
	mode     EvidenceMode
	target   deployer.Target
	kind     string            // of the operation
	pipeline string            // whose repository takes what names no release itself; "": none is known
	releases map[string]string // known releases by revision
	redact   func(string) string
}

// evidenceOf is the evidence of an operation on a target: of a release, or, of
// a removal, "".
func (s *Service) evidenceOf(d *session, mode EvidenceMode, target Target, operation, releaseID string, known State, redact func(string) string) *evidence {
	e := &evidence{service: s, deployer: d, mode: mode, target: target.wire(), kind: operation, releases: map[string]string{}, redact: redact}
	ids := []string{releaseID, known.RunningReleaseID}
	for _, name := range slices.Sorted(maps.Keys(known.Instances)) {
		i := known.Instances[name]
		e.releases[i.Revision] = i.Release
		ids = append(ids, i.Release)
	}
	for _, id := range append(ids, known.PreviousReleaseID) {
		if pipeline, _, err := SplitReleaseID(id); err == nil {
			e.pipeline = pipeline
			break
		}
	}
	return e
}

// off says that nothing is to be sent, or that nobody knows where to.
func (e *evidence) off() bool { return e.mode == EvidenceOff || e.pipeline == "" }

// prove makes sure, where evidence is required, that it can be sent, before
// anything is done of which it would be.
func (e *evidence) prove(ctx context.Context) error {
	if e.mode != EvidenceRequired || e.off() {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	opened, err := e.service.Store(limited)
	if err == nil {
		err = inTime(opened, opened.Probe(limited, e.pipeline))
	}
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	advice := `Or set evidence to "best_effort": the ledger on the target keeps what could not be sent`
	if e.kind == deployer.OperationRemove {
		advice = adviceBeforeRemoval
	}
	return &EvidenceError{What: `nothing was changed: evidence = "required", and the evidence could not be sent afterwards`, Err: err, Advice: advice}
}

// conclude sends what an operation left, and says what that means for it.
func (e *evidence) conclude(ctx context.Context, plan rollout.Plan, outcome rollout.Outcome, applied Applied, failed error) (Applied, error) {
	if e.off() || outcome.Result == "" {
		return applied, failed
	}
	limit := evidenceTimeout
	if ctx.Err() != nil {
		limit = eventTimeout // somebody waits for the end
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	own, happened := e.own(plan, outcome)
	var told *store.Event
	if happened {
		told = &own
	}
	err := e.send(ctx, &applied.Private, told, !outcome.Gone)
	applied.Private.Unsent = err != nil && e.kept(outcome)
	switch {
	case err == nil:
		return applied, failed
	case e.mode == EvidenceRequired && failed == nil:
		return applied, e.missing(outcome, err)
	}
	applied.Warnings = append(applied.Warnings, e.warning(outcome, err))
	return applied, failed
}

// rescue sends what the ledger has and the store has not, before the ledger
// goes with the deployment. What cannot be sent is a warning for the user.
func (e *evidence) rescue(ctx context.Context, private *Private) (warning string, err error) {
	if e.off() {
		return "", nil
	}
	limited, cancel := context.WithTimeout(ctx, evidenceTimeout)
	defer cancel()
	err = e.send(limited, private, nil, true)
	switch {
	case err == nil || ctx.Err() != nil:
		return "", ctx.Err()
	case e.mode == EvidenceRequired:
		return "", &EvidenceError{
			What: `nothing was changed: evidence = "required", and what the ledger on the target has of earlier operations could not be sent`,
			Err:  err, Advice: adviceBeforeRemoval,
		}
	}
	return "What the ledger on the target has of earlier operations, and the store has not, could not be sent before the ledger is removed: " + full(err), nil
}

// SendEvidence sends what the ledger has and the store has not, if an earlier
// operation noted that there is something. It changes nothing on the target,
// and asks it only when the store takes what it says.
func (s *Service) SendEvidence(ctx context.Context, req ApplyRequest) (Applied, error) {
	applied := Applied{State: req.Known, Private: req.Private}
	if !req.Private.Unsent || req.Spec.Evidence == EvidenceOff {
		return applied, nil
	}
	e := s.evidenceOf(nil, req.Spec.Evidence, req.Spec.Target, req.Kind, req.Spec.ReleaseID, req.Known, req.Redact)
	limited, cancel := context.WithTimeout(ctx, evidenceTimeout)
	defer cancel()
	err := e.sendLate(limited, req.Spec.Deployer, &applied.Private)
	switch {
	case err == nil || ctx.Err() != nil:
		return applied, ctx.Err()
	case e.mode == EvidenceRequired:
		return applied, &EvidenceError{
			What: `evidence = "required", and what the ledger on the target has could not be sent`,
			Err:  err, Advice: "Apply again when the store can be written to",
		}
	}
	e.note("what was not sent before could not be sent now", err) // the warning was given then
	return applied, nil
}

func (e *evidence) sendLate(ctx context.Context, deployer string, private *Private) error {
	opened, err := e.service.Store(ctx)
	if err != nil {
		return err
	}
	if err := inTime(opened, opened.Writable(ctx, e.pipeline)); err != nil {
		return err
	}
	if e.deployer, err = e.service.open(ctx, deployer); err != nil {
		return err
	}
	return e.send(ctx, private, nil, true)
}

// kept says whether the target has a ledger that holds what could not be sent.
func (e *evidence) kept(outcome rollout.Outcome) bool {
	return e.deployer.description.Can(deployer.CanRecord) && !outcome.Gone
}

func (e *evidence) warning(outcome rollout.Outcome, err error) string {
	text := "The evidence of what was done could not be sent: " + full(err) + " "
	if !e.kept(outcome) {
		return text + "The target has no ledger (any more), so it is lost."
	}
	return text + `The ledger on the target has it, and the next apply that changes this deployment and may write to the store sends it. If this runner never may, set evidence = "off".`
}

func (e *evidence) missing(outcome rollout.Outcome, err error) error {
	advice := "Nothing of the deployment needs to be done again. Apply again when the store can be written to: that sends what the ledger on the target has"
	switch {
	case !e.kept(outcome):
		advice = "The target has no ledger (any more), so it is lost"
	case e.kind == deployer.OperationCreate:
		advice = "The deployment itself is good. Terraform marks it as tainted all the same: run `terraform untaint` with its address, " +
			"or the next apply replaces it. The next change sends what the ledger on the target has"
	}
	return &EvidenceError{What: `what was asked for was done, but evidence = "required" and it could not be sent`, Err: err, Advice: advice}
}

// send sends an operation's event, and before it what the ledger holds and the
// store does not. What was sent is noted.
func (e *evidence) send(ctx context.Context, private *Private, own *store.Event, ledger bool) (err error) {
	opened, err := e.service.Store(ctx)
	if err != nil {
		return err
	}
	defer func() { err = inTime(opened, err) }()
	sending := &sending{evidence: e, store: opened, listed: map[string][]store.EventRef{}}
	known, err := sending.upTo(ctx, private.Sent, own, private.Generation)
	if err != nil {
		return err
	}
	complete := true
	if ledger && !known {
		if complete, err = sending.catchUp(ctx, own); err != nil {
			return err
		}
	}
	if own != nil {
		if err := sending.put(ctx, *own); err != nil {
			return err
		}
	}
	if complete {
		private.Sent, private.Unsent = sending.mark(private.Generation), false
	}
	return nil
}

// inTime explains that a store did not answer in the time that it has.
func inTime(at store.Store, err error) error {
	var access *store.AccessError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &access) {
		return err
	}
	return &store.AccessError{
		Location: at.Location(), Write: true, Reason: store.ReasonUnreachable, Err: err,
		Detail: "it did not answer in time", Advice: "Check that it is up and can be reached from here.",
	}
}

func (e *evidence) note(message string, err error) {
	if e.service.Progress != nil {
		e.service.Progress(rollout.Event{Time: e.service.now(), Kind: rollout.EventNote, Step: rollout.StepHistory, Message: message, Err: err})
	}
}

// EvidenceError says that required evidence could not be sent. Its text is
// complete: what, where, why, what to do.
type EvidenceError struct {
	What   string
	Advice string
	Err    error // of the store
}

func (e *EvidenceError) Error() string {
	return fmt.Sprintf("%s: %s %s.", e.What, full(e.Err), e.Advice)
}

func (e *EvidenceError) Unwrap() error { return e.Err }

// full is an error as a whole sentence.
func full(err error) string {
	text := err.Error()
	if text == "" || text[len(text)-1] != '.' {
		text += "."
	}
	return text
}
