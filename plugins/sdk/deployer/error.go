// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code classifies an error across the process boundary.
type Code string

// Codes of errors.
const (
	CodeFailed      Code = "failed"      // a step did not succeed
	CodeInvalid     Code = "invalid"     // the configuration is wrong
	CodeUnreachable Code = "unreachable" // no connection, or lost
	CodeRefused     Code = "refused"     // no authentication, host key, right
	CodeLocked      Code = "locked"      // somebody else holds the lock
	CodeFenced      Code = "fenced"      // our lock was lost; nothing was changed
	CodeNotOwner    Code = "not_owner"   // it carries another owner's token; nothing was changed
	CodeUnsupported Code = "unsupported" // the deployer cannot do this
	CodeInterrupted Code = "interrupted" // cancelled at a safe point
	CodePluginGone  Code = "plugin_gone" // the plugin's process ended, or stopped answering
)

// Error is what every call of a [Deployer] returns when it fails. It survives
// the wire. Its text begins with what failed and ends with what to do.
type Error struct {
	Code     Code
	Instance string   // "" when it concerns the whole target
	Step     string   // such as "upload" or "install"
	Message  string   // what failed and why, one sentence or two
	Advice   string   // what to do; may be empty
	Log      []string // last lines of output, oldest first
	Path     []string // attribute in the target or connection configuration, if it is to blame
	Holder   *Holder  // with CodeLocked
}

// Holder says who holds a lock.
type Holder struct {
	Actor     string    `json:"actor"`
	Operation Operation `json:"operation"`
	Since     time.Time `json:"since"`
}

// Error gives one line: "instance: step: message". The log and the advice are
// for whoever presents it.
func (e *Error) Error() string {
	var parts []string
	for _, p := range []string{e.Instance, e.Step, e.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Errorf makes an Error of a code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// AsError finds the Error in err, or wraps err as CodeFailed. It returns nil
// for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeFailed, Message: err.Error()}
}

// CodeOf is the code of err; "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
