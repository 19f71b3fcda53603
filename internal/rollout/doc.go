// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package rollout is the engine: given instances, a revision and a strategy, it
// decides in which order to prepare, activate, check and revert, and owns the
// thresholds and deadlines. It is pure: no Terraform, no gRPC, no network. It
// takes a [deployer.Deployer], a [Clock] and an [Analyzer].
//
// What always holds, and is tested over random fleets, failures,
// cancellations and deaths at every call:
//
//   - Nothing is changed without the lock (where the deployer has one), and
//     nothing after it was lost. Every change carries the lock's token.
//   - Nothing is switched before every instance is prepared.
//   - Never more instances than the strategy allows at once are between their
//     activation and their first passed health check on the way forward; a
//     failure that the strategy tolerates may keep one more out.
//   - Where the deployer can stage, nothing gets traffic before its check passed.
//   - Reverts go in the reverse order of the switches, and are verified.
//   - After any end every instance runs the old or the new revision, and the
//     outcome says which; on a platform that can be in between, a mix that
//     Inspect names.
//   - There is an error unless every desired instance serves the revision and
//     was seen healthy.
//   - Nothing is left running beside what serves without a warning.
//   - After a death anywhere, running the same plan again converges.
//   - The same inputs give the same batches.
package rollout
