// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Outcome is how a run ended. It is filled in whether there was an error or not.
type Outcome struct {
	// Result is what the ledger says, "" when the run was refused before it
	// changed anything. The error alone says whether all is as planned: a
	// successful rollout whose last removal failed has both.
	Result deployer.Outcome
	// State is what runs now. Unless Inspected it is what was seen last, and may
	// be out of date.
	State     deployer.TargetState
	Inspected bool
	// Touched: the target may have been changed by this run.
	Touched bool
	// Gone: nothing of the deployment is left, verified. After Destroy, or
	// after a failed first deployment was taken off again.
	Gone bool
	// Batches is the order in which instances were to be switched.
	Batches [][]string
	// Switched are the instances on which an activation was begun, in order.
	Switched []string
	Failures []Failure
	Reverted []Reverted // in the order in which it was done
	// Tombstones are removed instances that could not be reached, by id: they
	// are to be tried again.
	Tombstones []string
	// Warnings are for the user, whole sentences.
	Warnings []string
	// Generation is the highest of the ledger after this run, and the plan's when
	// the run was refused: what was found has not been seen by any plan.
	Generation int64
	// LastGood is what the next revert would go back to.
	LastGood *deployer.RevisionInfo
	// Opaque is what the deployer wants to see again, by instance id.
	Opaque            map[string][]byte
	Started, Finished time.Time
	// Entries are the ledger's of this run, its beginning and its end, in order, as
	// they were recorded, or would have been where there is no ledger (any more).
	Entries []deployer.Entry
}

// Failure is one thing that went wrong.
type Failure struct {
	Instance string // "" when it concerns the whole target
	Step     Step
	Err      *deployer.Error
	// Afterwards: it happened while putting back or looking, not on the way
	// forward.
	Afterwards bool
}

// Reverted says what was done about one switched instance.
type Reverted struct {
	Instance string
	// To is the revision it was to go back to; "": the deployment was to be
	// taken off.
	To      string
	Release string // of To
	// Unchanged: it was found to serve To already.
	Unchanged bool
	// Err says why it could not; nil: done, and verified.
	Err *deployer.Error
}
