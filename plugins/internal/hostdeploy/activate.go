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

// Activate implements [deployer.Core]. What has begun to switch on the host ends
// there by itself, also when ctx ends or the connection is lost.
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
	events(deployer.Event{Time: time.Now(), Instance: s.id, Phase: "switch"})
	ans, err := s.tell(ctx, call{said: warnings(s, events)}, "activate", held.number(s), req.Owner, adopting(req.Operation), req.RevisionID)
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
	ans, err := s.tell(ctx, call{said: warnings(s, events)}, "remove", held.number(s), req.Owner)
	if err != nil {
		return deployer.Result{}, s.fault("remove", err)
	}
	result := deployer.Result{Changed: ans.has("changed")}
	if kept, ok := ans.get("kept"); ok {
		result.Detail = "kept " + kept + ", which has files"
	}
	return result, nil
}
