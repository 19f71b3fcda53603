// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package store keeps releases, their evidence and the events of their
// deployments. It has one interface and two locations: a directory of OCI
// image layouts, one for each pipeline, and a registry with one repository
// for each pipeline. Both hold the same manifests, so a release has the same
// digest wherever it is kept, and standard tools read either.
//
// # Tags
//
// Everything has a tag of its own, since registries collect what has none, and
// no tag is ever written twice:
//
//   - 1.5.0 is a release; a version's "+" is written "_" (see [EncodeTag]).
//   - e.1.5.0.checks is evidence of kind "checks" for that release, written
//     before the release, so a release that exists has its evidence. Evidence
//     names the manifest it is about. Where that tag is already taken by
//     evidence of other bytes (a run that never became the release), it is
//     e.1.5.0.checks-<12 hex of the manifest's digest>.
//   - d.production.api.20260102T030405Z.succeeded.4f1c is the event of one
//     finished operation of a deployment, so that one listing of tags answers
//     how often and how well. Its config is an [Event]; it names the release's
//     manifest that it is about, as evidence does.
//
// # A release's manifest
//
// An OCI image manifest of artifact type [ReleaseType]. Its config is the
// [Record], its only layer the artifact. Neither holds a time or anything else
// of the machine that made it, so that the same inputs give the same digest
// everywhere; what belongs to one run (when, what its checks said, its
// reports) is evidence.
//
// # Locations
//
// See [ParseLocation].
package store
