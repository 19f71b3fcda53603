// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// grace is how long a switch that is under way is still waited for when it is
// no longer wanted, besides the time that the service has to stop.
const grace = 15 * time.Second

// toTheEnd gives a context for a call that has no safe point within: it ends
// only some time after ctx.
func (s *site) toTheEnd(ctx context.Context) (context.Context, func(), error) {
	if ctx.Err() != nil {
		return nil, nil, stopped(ctx)
	}
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		late := time.AfterFunc(s.stopTimeout+grace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { late.Stop() })
	})
	return longer, func() { forget(); cancel(nil) }, nil
}

// Activate implements [deployer.Core]. What has begun to switch on the host ends
// there by itself, also when the connection is lost, and is waited for when ctx
// ends.
func (d *Deployer) Activate(ctx context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	s, err := d.site(req.Target, req.Instance)
	if err != nil {
		return deployer.Result{}, err
	}
	held, err := parseToken(req.Token)
	if err == nil {
		err = checkRevision(req.RevisionID)
	}
	if err != nil {
		return deployer.Result{}, s.fault("activate", err)
	}
	whole, done, err := s.toTheEnd(ctx)
	if err != nil {
		return deployer.Result{}, s.fault("activate", err)
	}
	defer done()
	events(deployer.Event{Time: time.Now(), Instance: s.id, Phase: "switch"})
	ans, err := s.tell(whole, call{said: warnings(s, events)}, "activate", held.number(s), req.Owner, adopting(req.Operation), req.RevisionID)
	if err != nil {
		return deployer.Result{}, s.notActivated(ctx, req.RevisionID, ans, err)
	}
	return deployer.Result{Runs: req.RevisionID, Changed: ans.has("changed")}, nil
}

func warnings(s *site, events deployer.EventSink) func(name, value string) {
	return func(name, value string) {
		if name == "warning" {
			events(deployer.Event{Time: time.Now(), Instance: s.id, Phase: "switch", Line: value})
		}
	}
}

// notActivated explains why, with the last lines of what the service said.
func (s *site) notActivated(ctx context.Context, revision string, ans answer, err error) error {
	e := *deployer.AsError(s.fault("activate", err))
	said, _ := ans.get("error")
	if detail, ok := strings.CutPrefix(said, "command "); ok {
		what, rest, _ := strings.Cut(detail, " ")
		e.Message = fmt.Sprintf("the service's %s command ended with status %s", what, rest)
		if status, late := strings.CutSuffix(rest, " late"); late {
			e.Message = fmt.Sprintf("the service's %s command did not end in time (status %s)", what, status)
		}
		e.Log = s.logTail(ctx, revision)
		return &e
	}
	e.Log = nil
	if strings.HasPrefix(said, "failed ") {
		e.Log = s.logTail(ctx, revision)
	}
	return &e
}

// Remove implements [deployer.Core]. It deletes all that is of the deployment.
// What users wrote into shared paths stays, and with it the directory.
func (d *Deployer) Remove(ctx context.Context, req deployer.RemoveRequest, events deployer.EventSink) (deployer.Result, error) {
	s, err := d.site(req.Target, req.Instance)
	if err != nil {
		return deployer.Result{}, err
	}
	held, err := parseToken(req.Token)
	if err != nil {
		return deployer.Result{}, s.fault("remove", err)
	}
	if held.alias(s) {
		return deployer.Result{Detail: "kept: another of the target's hosts is the same directory"}, nil
	}
	whole, done, err := s.toTheEnd(ctx)
	if err != nil {
		return deployer.Result{}, s.fault("remove", err)
	}
	defer done()
	ans, err := s.tell(whole, call{said: warnings(s, events)}, "remove", held.number(s), req.Owner)
	if err != nil {
		return deployer.Result{}, s.fault("remove", err)
	}
	result := deployer.Result{Changed: ans.has("changed")}
	if kept, ok := ans.get("kept"); ok {
		result.Detail = "kept " + kept + ", which has files"
	}
	return result, nil
}
