// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
)

// Explanation is what a diagnostic tells: what failed and why, the last lines
// of output, what to do, and where in the configuration the cause is.
type Explanation struct {
	Message string   // what failed, where and why
	Log     []string // last lines of output, oldest first
	Advice  string   // what to do
	Path    []string // attribute to blame, below the path the caller gave
}

// logLines bounds how much of a log one diagnostic shows.
const logLines = 40

// logLineLength bounds one line of it, in bytes.
const logLineLength = 500

// Diagnostics collects what a user is told. Each message begins with the full
// path of the attribute it is about, since older Terraform shows none, and no
// known secret is in it.
type Diagnostics struct {
	*diag.Diagnostics
	Redactor *Redactor
	// Locate leads from an attribute to the one below it that an error blames;
	// nil takes every step for a name, or for an index where it is a number.
	Locate func(at path.Path, steps []string) path.Path
}

// Error says that what was being done failed, and why. what is a short
// sentence without a full stop, such as "The stages could not be run".
func (d Diagnostics) Error(at path.Path, what string, err error) {
	e := Explain(err)
	d.Append(d.message(d.below(at, e.Path), diag.SeverityError, what, e))
}

// Warning says that something went wrong that does not stop anything.
func (d Diagnostics) Warning(at path.Path, what string, err error) {
	e := Explain(err)
	d.Append(d.message(d.below(at, e.Path), diag.SeverityWarning, what, e))
}

// Invalid says that an attribute is wrong: what is wrong, and what to do.
func (d Diagnostics) Invalid(at path.Path, what, detail string) {
	d.Append(d.message(at, diag.SeverityError, what, Explanation{Message: detail}))
}

// Notice tells something worth knowing.
func (d Diagnostics) Notice(at path.Path, what, detail string) {
	d.Append(d.message(at, diag.SeverityWarning, what, Explanation{Message: detail}))
}

func (d Diagnostics) below(at path.Path, steps []string) path.Path {
	if d.Locate != nil {
		return d.Locate(at, steps)
	}
	for _, step := range steps {
		if index, err := strconv.Atoi(step); err == nil {
			at = at.AtListIndex(index)
		} else {
			at = at.AtName(step)
		}
	}
	return at
}

func (d Diagnostics) message(at path.Path, severity diag.Severity, what string, e Explanation) diag.Diagnostic {
	summary := what
	if text := at.String(); text != "" {
		summary = text + ": " + what
	}
	summary, detail := d.Redactor.Redact(summary), d.Redactor.Redact(e.text())
	switch {
	case severity == diag.SeverityWarning && len(at.Steps()) == 0:
		return diag.NewWarningDiagnostic(summary, detail)
	case severity == diag.SeverityWarning:
		return diag.NewAttributeWarningDiagnostic(at, summary, detail)
	case len(at.Steps()) == 0:
		return diag.NewErrorDiagnostic(summary, detail)
	default:
		return diag.NewAttributeErrorDiagnostic(at, summary, detail)
	}
}

func (e Explanation) text() string {
	parts := []string{sentence(e.Message)}
	if log := e.Log[max(0, len(e.Log)-logLines):]; len(log) > 0 {
		var b strings.Builder
		b.WriteString("Its last lines of output:")
		for _, line := range log {
			if len(line) > logLineLength {
				line = strings.ToValidUTF8(line[:logLineLength], "") + " …"
			}
			b.WriteString("\n  | " + line)
		}
		parts = append(parts, b.String())
	}
	if e.Advice != "" {
		parts = append(parts, sentence(e.Advice))
	}
	return strings.TrimSpace(strings.Join(parts, "\n\n"))
}

// sentence begins with a capital letter, unless a name or a path comes first,
// and ends with a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?:\n)") {
		return s
	}
	return s + "."
}

// explainers turn the errors of the packages below into explanations; the
// first that knows an error wins.
var explainers = []func(error) (Explanation, bool){
	explainRollout, // before the errors of its failures
	explainDeployer,
	explainStage,
	explainSource,
	explainEvidence, // before the store's error in it
	explainStore,
	explainContext,
}

// Explain finds the most telling explanation of an error.
func Explain(err error) Explanation {
	if err == nil {
		return Explanation{}
	}
	for _, explain := range explainers {
		if e, ok := explain(err); ok {
			return e
		}
	}
	return Explanation{Message: err.Error()}
}

func explainContext(err error) (Explanation, bool) {
	switch {
	case errors.Is(err, context.Canceled):
		return Explanation{Message: fmt.Sprintf("Terraform asked to stop: %v", err), Advice: "Run apply again to go on"}, true
	case errors.Is(err, context.DeadlineExceeded):
		return Explanation{
			Message: fmt.Sprintf("the time for it was over: %v", err),
			Advice:  "Give it more time in the timeouts block, or find out what it was waiting for",
		}, true
	}
	return Explanation{}, false
}
