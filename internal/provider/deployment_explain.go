// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// What a deployer's preview may show.
const (
	mostFindings   = 20
	longestFinding = 2000 // bytes
)

// explanation is what a reviewer of a plan is told besides the diff. All of it
// is warnings: no planned value depends on it.
type explanation struct {
	spec    deployment.Spec
	at      path.Path
	wanted  deployment.Wanted
	planned deployment.Planned
	known   deployment.State
	private deployment.Private
	state   *deploymentModel // nil: a first deployment
	// settings of the target that change, which no revision has.
	settings deployment.Differences
}

// explain tells what will be done where and in which order, what went wrong with
// it before, and what it would meet. Only what it would meet, and which commits
// it brings, is looked for now.
func (r *deploymentResource) explain(ctx context.Context, d Diagnostics, e explanation) {
	var commits []commitModel
	var findings []deployer.Diagnostic
	var previewErr error
	var looks sync.WaitGroup
	looks.Go(func() { commits = r.newCommits(ctx, e.known, e.spec) })
	if len(e.planned.Batches) > 0 && !r.data.UnknownFor(e.spec.Deployer) {
		looks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookTimeout)
			defer cancel()
			findings, previewErr = r.service.Preview(ctx, e.spec, e.wanted, e.known, e.private)
		})
	}
	looks.Wait()
	e.tellRollout(d, commits)
	e.tellFailed(d)
	if previewErr != nil {
		d.Warning(e.at, fmt.Sprintf("What the rollout of %s would meet is not known", e.spec.ID()), previewErr)
	}
	e.tellFindings(d, findings)
}

// tellRollout is the one warning about what is done to each instance, in which
// order, and what comes with it.
func (e explanation) tellRollout(d Diagnostics, commits []commitModel) {
	if e.state == nil && len(e.planned.Instances) < 2 {
		return
	}
	var lines []string
	if e.state != nil {
		lines = changeLines(e.planned.Touched)
	}
	if e.planned.Order != "" {
		lines = append(lines, "Order: "+e.planned.Order+".")
	}
	if !e.settings.None() {
		lines = append(lines, "Settings of the target: "+differenceText(e.settings)+".")
	}
	if len(commits) > 0 {
		lines = append(lines, "Brings: "+commitList(commits)+".")
	}
	if len(e.planned.Moves) > 0 {
		lines = append(lines, "Moved (added at the new place, then removed from the old one): "+instanceNames(e.planned.Moves)+".")
	}
	if removed := e.removed(); len(removed) > 0 {
		lines = append(lines, "Removed after success: "+instanceNames(removed)+".")
	}
	if len(e.private.Recipe) > 0 && e.state != nil && e.state.ReleaseID.Equal(types.StringValue(e.spec.ReleaseID)) {
		lines = append(lines, fmt.Sprintf("Release %s is not in the store; if an instance needs its bytes, it is made again from the same inputs.", e.spec.ReleaseID))
	}
	if e.private.Owner == "" && e.state != nil {
		lines = append(lines, "The deployment is adopted: what already runs the right revision is not touched.")
	}
	if len(lines) > 0 {
		d.Notice(e.at, fmt.Sprintf("How %s will be rolled out", e.spec.ID()), strings.Join(lines, "\n"))
	}
}

func (e explanation) removed() []string {
	var gone []string
	for id := range e.known.Instances {
		if _, stays := e.planned.Instances[id]; !stays {
			gone = append(gone, id)
		}
	}
	return gone
}

// tellFailed warns that what is planned did not hold here before.
func (e explanation) tellFailed(d Diagnostics) {
	at := path.Root("release_id")
	same := slices.IndexFunc(e.private.Failed, func(f deployment.FailedNote) bool {
		return e.planned.Revision != "" && f.Revision == e.planned.Revision
	})
	if same >= 0 {
		f := e.private.Failed[same]
		then := "It is tried again by this apply."
		if e.spec.Revert.RefuseFailed {
			then = "With revert.retry_failed = false the apply refuses it, until the release or its configuration changes."
		}
		d.Notice(at, fmt.Sprintf("%s failed here before", f.Release), failureText(f)+"\n"+then)
		return
	}
	if e.spec.ReleaseID == "" || e.known.RunningReleaseID == e.spec.ReleaseID {
		return
	}
	other := slices.IndexFunc(e.private.Failed, func(f deployment.FailedNote) bool { return f.Release == e.spec.ReleaseID })
	if other >= 0 {
		f := e.private.Failed[other]
		d.Notice(at, fmt.Sprintf("%s failed here before, with another configuration", f.Release), failureText(f))
	}
}

func failureText(f deployment.FailedNote) string {
	return fmt.Sprintf("At %s: %s", f.Time.UTC().Format(time.RFC3339), sentence(f.Reason))
}

// tellFindings shows what a deployer's preview found. Whatever it calls them,
// they are warnings: what really is in the way is an error when it is tried.
func (e explanation) tellFindings(d Diagnostics, findings []deployer.Diagnostic) {
	for n, f := range findings {
		if n == mostFindings && len(findings) > mostFindings+1 {
			d.Notice(e.at, "More findings", fmt.Sprintf("The deployer has %d more.", len(findings)-n))
			return
		}
		d.Notice(locate(e.wanted.Schema, e.at, f.Path), shortened(f.Summary), shortened(f.Detail))
	}
}

func shortened(text string) string {
	if len(text) > longestFinding {
		return strings.ToValidUTF8(text[:longestFinding], "") + " …"
	}
	return text
}

// later says what of the planned revision is known only after apply.
func (m deploymentModel) later(ctx context.Context, secrets types.Map) deployment.Later {
	l := deployment.Later{
		AllVariables: m.EnvironmentVariables.IsUnknown(), Secrets: secrets.IsUnknown(), SecretsVersion: m.SecretsWOVersion.IsUnknown(),
	}
	for name, value := range m.EnvironmentVariables.Elements() {
		if !fullyKnown(ctx, value) {
			l.Variables = append(l.Variables, name)
		}
	}
	return l
}

// explainRollout passes on the engine's own report, which has the logs and the
// advice where they belong.
func explainRollout(err error) (Explanation, bool) {
	var e *rollout.Error
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	x := Explanation{Message: err.Error()}
	if len(e.Failures) == 1 {
		x.Path = e.Failures[0].Err.Path
	}
	return x, true
}
