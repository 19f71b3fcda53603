// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
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
	failed := stageErrors(err)
	if len(failed) == 0 {
		return Explanation{}, false
	}
	x := Explanation{Advice: "No release was made. Correct the cause, or the stage's commands, and apply again"}
	var messages []string
	for _, e := range failed {
		bare := *e
		bare.LogTail, bare.Advice = nil, ""
		message := bare.Error()
		if len(failed) == 1 {
			x.Log = e.LogTail
		} else if len(e.LogTail) > 0 {
			// Each stage keeps its own lines.
			message = Explanation{Message: message, Log: e.LogTail[max(0, len(e.LogTail)-logLines/len(failed)-1):]}.text()
		}
		messages = append(messages, message)
		if e.Advice != "" {
			x.Advice = sentence(e.Advice) + " No release was made"
		}
	}
	x.Message = strings.Join(messages, "\n\n")
	return x, true
}

// stageErrors finds every stage that failed in an error that may be several.
func stageErrors(err error) []*pipeline.StageError {
	switch e := err.(type) { //nolint:errorlint // walks to every one: errors.As would find the first only
	case nil:
		return nil
	case *pipeline.StageError:
		return []*pipeline.StageError{e}
	case interface{ Unwrap() error }:
		return stageErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*pipeline.StageError
		for _, one := range e.Unwrap() {
			all = append(all, stageErrors(one)...)
		}
		return all
	}
	return nil
}

func explainSource(err error) (Explanation, bool) {
	var e *source.Error
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	return Explanation{Message: e.Message, Log: e.Log, Advice: e.Advice}, true
}

func explainEvidence(err error) (Explanation, bool) {
	var e *deployment.EvidenceError
	if !errors.As(err, &e) {
		return Explanation{}, false
	}
	return Explanation{Message: e.Error()}, true
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
