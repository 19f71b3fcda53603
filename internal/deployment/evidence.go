// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

// EvidenceMode says how much the copy in the store of what the target's ledger
// tells is worth. The zero value is EvidenceBestEffort.
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
