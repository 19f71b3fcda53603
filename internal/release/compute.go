// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/internal/weburl"
)

// Input is all that a plan depends on.
type Input struct {
	Definition  pipeline.Definition
	Ref         string // as configured
	Version     string // as configured; empty: derived
	Prior       Prior
	Observation Observation // one that answers for Definition and Ref
}

// Compute plans a release. It is pure: the same input gives the same plan, on
// any machine, at any time. The error is a [*Problem].
func Compute(in Input) (Planned, error) {
	d, o := in.Definition, in.Observation
	if problem := checkRef(d, in.Ref); problem != nil {
		return Planned{}, problem
	}
	if !o.Answers(d, in.Ref) {
		return Planned{}, &Problem{"", "The source was not looked at", "What is known of the source is about another one or another ref. Plan again without -refresh=false."}
	}
	version, err := versionOf(d, in.Version, o)
	if err != nil {
		return Planned{}, &Problem{"version", "The version cannot be used", err.Error()}
	}
	p := Planned{
		ID: d.Name + ":" + version, Pipeline: d.Name, Version: version,
		Commit: o.Commit, Content: o.Content, Definition: d.Digest(), Ref: in.Ref,
		Source: sourceURL(d),
	}
	if problem := conflict(in, p); problem != nil {
		return Planned{}, problem
	}
	switch {
	case p.ID == in.Prior.ID:
		p.Commits, p.Digest = in.Prior.Commits, in.Prior.Digest
	case o.Since == in.Prior.Commit:
		p.Commits = o.Commits
	}
	if e := o.Existing; e != nil && e.Version == version {
		p.Digest, p.Ref, p.Source = e.Digest, e.Ref, e.Source
	}
	return p, nil
}

func checkRef(d pipeline.Definition, ref string) *Problem {
	isGit := d.Source != nil && d.Source.Git != nil
	switch {
	case isGit && ref == "":
		return errNoRef
	case !isGit && ref != "":
		return &Problem{"ref", "A ref is not possible here", "The pipeline's source is not a Git repository, so there is no branch, tag or commit to choose: remove ref."}
	}
	return nil
}

// sourceURL is where the source is, for those who look at a release elsewhere.
// It may be published: it holds no credentials. A directory means something on
// one machine only.
func sourceURL(d pipeline.Definition) string {
	switch {
	case builtElsewhere(d) != nil:
		return weburl.Public(d.Artifact.URL)
	case d.Source != nil && d.Source.Git != nil:
		return weburl.Public(d.Source.Git.URL)
	}
	return ""
}

// versionOf is the version that is asked for, or follows from what was observed.
func versionOf(d pipeline.Definition, wanted string, o Observation) (string, error) {
	switch {
	case wanted != "":
		return wanted, store.CheckVersion(wanted)
	case d.Source == nil:
		return ContentVersion("artifact", o.Content, d.Digest()), nil
	case d.Source.Directory != nil:
		return ContentVersion("dir", o.Content, d.Digest()), nil
	}
	return Version(o.Nearest, o.Commit, d.Digest())
}

// conflict compares with what the version stands for already, in the state and
// in the store.
func conflict(in Input, p Planned) *Problem {
	prior, found := in.Prior, in.Observation.Existing
	if prior.ID == p.ID && prior.Definition != "" {
		if problem := taken(in, p, Existing{Commit: prior.Commit, Content: prior.Content, Definition: prior.Definition}); problem != nil {
			return problem
		}
	}
	if found == nil || found.Version != p.Version {
		return nil
	}
	if problem := taken(in, p, *found); problem != nil {
		return problem
	}
	if prior.ID == p.ID && prior.Digest != "" && prior.Digest != found.Digest {
		return &Problem{"version", "The release was replaced in the store", fmt.Sprintf(
			"Release %s had the digest %s when it was made, and the store has %s under this version now. A release never changes: somebody pushed over it, or made it again from sources that give other bytes. Find out who, and set another version.",
			p.ID, prior.Digest, found.Digest)}
	}
	return nil
}

// taken says what differs between the plan and a release of the same version.
func taken(in Input, p Planned, e Existing) *Problem {
	switch {
	case e.Commit == p.Commit && e.Content == p.Content && e.Definition == p.Definition:
		return nil
	case e.Commit != p.Commit:
		return &Problem{"version", "The version is taken by another commit", fmt.Sprintf(
			"Release %s was made from commit %s, and %s is now at %s. A release never changes: %s.",
			p.ID, orNone(prefix(e.Commit, 12)), orNone(in.Ref), orNone(prefix(p.Commit, 12)), otherVersion(in))}
	case e.Content != p.Content:
		return &Problem{"version", "The version is taken by other content", fmt.Sprintf(
			"Release %s was made from content %s, which is now %s. A release never changes: %s.",
			p.ID, orNone(prefix(e.Content, 12)), orNone(prefix(p.Content, 12)), otherVersion(in))}
	}
	attribute, advice := "version", otherVersion(in)
	if in.Version == "" {
		attribute = "pipeline"
	}
	return &Problem{attribute, "The version is taken by another definition of the pipeline", fmt.Sprintf(
		"Release %s was made by the pipeline's definition %s, which is now %s. A release never changes: %s.",
		p.ID, prefix(e.Definition, 8), prefix(p.Definition, 8), advice)}
}

func otherVersion(in Input) string {
	switch {
	case in.Version != "":
		return "set another version"
	case strings.HasPrefix(in.Observation.Content, "sha256:"):
		return "set version"
	}
	return "make a new tag, or set version"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
