// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// judged makes an error of an answer that has one.
func (s *site) judged(ans answer, err error) (answer, error) {
	if err != nil {
		return ans, s.fault("", err)
	}
	said, failed := ans.get("error")
	if !failed {
		return ans, nil
	}
	word, detail, _ := strings.Cut(said, " ")
	e := &deployer.Error{Code: deployer.CodeFailed, Instance: s.id, Message: detail, Log: ans.output}
	switch word {
	case "blocked":
		e.Code = deployer.CodeRefused
		e.Advice = "It was left as it is. Move it away, or choose another path."
	case "denied":
		e.Code = deployer.CodeRefused
		e.Message = withOutput(detail, ans.output)
		e.Advice = "Create " + s.root + " on the host and give it to that user, or log in as another one."
	case "locked":
		e.Code, e.Holder = deployer.CodeLocked, holderIn(ans)
		e.Message = "another operation holds the lock"
		if e.Holder != nil {
			e.Message = fmt.Sprintf("%s holds the lock since %s (%s %s)", e.Holder.Actor, e.Holder.Since.UTC().Format(time.RFC3339), e.Holder.Operation.Kind, e.Holder.Operation.ID)
		}
		e.Advice = "Wait until it has ended. The lock of a process that was killed ends by itself."
	case "fenced":
		e.Code, e.Holder = deployer.CodeFenced, holderIn(ans)
		e.Message = "the lock was lost; nothing was changed"
		if e.Holder != nil {
			e.Message = fmt.Sprintf("the lock was lost to %s (%s %s); nothing was changed", e.Holder.Actor, e.Holder.Operation.Kind, e.Holder.Operation.ID)
		}
	case "owner":
		e.Code = deployer.CodeNotOwner
		e.Message = "it belongs to another deployment" + describeEntry(ans) + "; nothing was changed"
		e.Advice = "Choose another path, or import that deployment."
	case "stale":
		e.Code = deployer.CodeFenced
		e.Message = "the target changed since this operation began: its ledger is at generation " + detail
		e.Advice = "Plan again."
	case "missing", "busy", "failed":
		e.Message = withOutput(detail, ans.output)
	case "unsupported":
		e.Code = deployer.CodeUnsupported
	}
	return ans, e
}

// withOutput adds the last line of what a program said to a message.
func withOutput(message string, output []string) string {
	if len(output) == 0 {
		return message
	}
	return message + " (" + output[len(output)-1] + ")"
}

func holderIn(ans answer) *deployer.Holder {
	text, _ := ans.get("holder")
	var h deployer.Holder
	if json.Unmarshal([]byte(text), &h) != nil {
		return nil
	}
	return &h
}

// describeEntry tells of the newest entry of a ledger that stands in an error.
func describeEntry(ans answer) string {
	text, _ := ans.get("ledger")
	e, ok := parseEntry(text)
	if !ok {
		return ""
	}
	what := e.To.ReleaseID
	if what == "" {
		what = "revision " + e.To.ID
	}
	return fmt.Sprintf(": %s, by %s at %s (%s %s)", what, e.Operation.Actor, e.Time.UTC().Format(time.RFC3339), e.Operation.Kind, e.Operation.ID)
}
