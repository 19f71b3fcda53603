// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"

// Error is what Roll and Destroy return. Its text is written for whoever is
// woken by it: what failed, where, why, what was done about it, what to do.
type Error struct {
	Reason  Reason
	Summary string // one line, without a full stop
	// Detail is the rest of the text, several lines.
	Detail   string
	Failures []Failure // in the order of the instances
	Reverted []Reverted
	Result   deployer.Outcome
}

// Error is the summary and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Summary
	}
	return e.Summary + "\n\n" + e.Detail
}

// Unwrap gives the errors of the failures.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, len(e.Failures))
	for _, f := range e.Failures {
		errs = append(errs, f.Err)
	}
	return errs
}

// Reason classifies an Error.
type Reason string

// The reasons. The first four come before anything was touched.
const (
	ReasonLocked      Reason = "locked"      // somebody else holds the lock
	ReasonChanged     Reason = "changed"     // the target changed since the plan
	ReasonForeign     Reason = "foreign"     // it belongs to another deployment
	ReasonUnreachable Reason = "unreachable" // a desired instance cannot be reached
	ReasonFailed      Reason = "failed"      // a step did not succeed
	// ReasonFailedBefore: the revision failed here before, and is not to be tried
	// again.
	ReasonFailedBefore Reason = "failed_before"
	ReasonTimeout      Reason = "timeout"   // the time for the whole operation was over
	ReasonCancelled    Reason = "cancelled" // the user stopped it
	ReasonLockLost     Reason = "lock_lost" // somebody took the lock: nothing more was changed
)
