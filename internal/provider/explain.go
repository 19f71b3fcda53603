// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func explainDeployer(err error) (Explanation, bool) {
	var e *deployer.Error
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	x := Explanation{Message: e.Error(), Log: e.Log, Advice: e.Advice, Path: e.Path}
	if e.Code == deployer.CodeLocked && e.Holder != nil && !strings.Contains(x.Message, e.Holder.Actor) {
		x.Message += fmt.Sprintf(" (held by %s since %s, operation %s)",
			e.Holder.Actor, e.Holder.Since.Format(time.RFC3339), e.Holder.Operation.ID)
	}
	if x.Advice == "" {
		x.Advice = adviceOn[e.Code]
	}
	return x, true
}

// adviceOn is what to do when the deployer itself gave no advice.
var adviceOn = map[deployer.Code]string{
	deployer.CodeUnreachable: "Check that the address is right and can be reached from where Terraform runs",
	deployer.CodeRefused:     "Check the user, its credentials and the host keys in the provider block",
	deployer.CodeLocked:      "Wait until the other operation has ended, then apply again",
	deployer.CodeFenced:      "Another operation took over; plan again to see what it did",
	deployer.CodeNotOwner:    "Import the deployment to take it over, or choose another name or place",
	deployer.CodeInterrupted: "Apply again to go on",
	deployer.CodePluginGone:  "Apply again; if it happens again, run Terraform with TF_LOG_PROVIDER=DEBUG and look at the deployer's output",
}

func explainStage(err error) (Explanation, bool) {
	var e *pipeline.StageError
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	return Explanation{
		Message: e.Error(),
		Log:     e.LogTail,
		Advice:  "No release was made. Correct the cause, or the stage's commands, and apply again",
	}, true
}

func explainSource(err error) (Explanation, bool) {
	var e *source.Error
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	return Explanation{Message: e.Message, Advice: e.Advice}, true
}

func explainStore(err error) (Explanation, bool) {
	var conflict *store.ConflictError
	var access *store.AccessError
	switch {
	case errors.As(err, &conflict):
		return Explanation{Message: conflict.Error()}, true
	case errors.As(err, &access):
		bare := *access
		bare.Advice = ""
		advice := access.Advice
		if advice == "" {
			advice = "Check the provider's store and registry arguments, and the rights of whoever runs Terraform"
		}
		return Explanation{Message: bare.Error(), Advice: advice}, true
	}
	return Explanation{}, false
}
