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
//   - Never more than MaxParallel instances are between their activation and
//     their first passed health check on the way forward.
//   - Reverts go in the reverse order of the switches.
//   - After any end every instance runs the old or the new revision, and the
//     outcome says which.
//   - There is an error unless every desired instance serves the revision and
//     was seen healthy.
//   - After a death anywhere, running the same plan again converges.
package rollout
