// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// What a report shows of a log.
const (
	logLines   = 20
	logColumns = 300
)

func (e *Error) orNil() error {
	if e == nil {
		return nil
	}
	return e
}

// headline is the one line that says what went wrong, and what became of it.
func (r *run) headline(why Reason) string {
	what := "rolling out " + r.name(r.plan.Revision.ID)
	if r.plan.Operation.Kind == deployer.OperationRemove {
		what = "removing " + r.plan.Target.Environment + "/" + r.plan.Target.Deployment
	}
	switch why {
	case ReasonCancelled:
		what += " was cancelled"
	case ReasonTimeout:
		what += " took longer than its timeout"
	case ReasonLockLost:
		what += " lost the lock and stopped"
	default:
		what += " failed"
		if where := r.firstFailure(); where != "" {
			what += " " + where
		}
	}
	switch {
	case r.partly():
		return what + fmt.Sprintf(", which max_failures tolerates; %d of %d instances have it", len(r.members)-len(r.tolerated), len(r.members))
	case r.out.Gone:
		return what + "; it was taken off again, nothing of it is left"
	case r.first && r.out.Result == deployer.OutcomeRevertFailed:
		return what + ", and it could not be taken off everywhere"
	case r.out.Result == deployer.OutcomeReverted:
		return what + "; every switched instance was put back"
	case r.out.Result == deployer.OutcomeRevertFailed:
		return what + ", and not every instance could be put back"
	case r.begun && len(r.out.Switched) == 0 && r.plan.Operation.Kind != deployer.OperationRemove:
		return what + " before any instance was switched"
	}
	return what
}

func (r *run) firstFailure() string {
	if len(r.out.Failures) == 0 {
		return ""
	}
	first := r.out.Failures[0]
	if first.Instance == "" {
		return "at " + string(first.Step)
	}
	return "on " + first.Instance + " at " + string(first.Step)
}

// report makes the error of this run.
func (r *run) report(why Reason, summary string) *Error {
	return &Error{
		Reason: why, Summary: summary, Detail: r.detail(),
		Failures: r.out.Failures, Reverted: r.out.Reverted, Result: r.out.Result,
	}
}

func (r *run) detail() string {
	var b strings.Builder
	told := map[string]bool{}
	for _, f := range r.out.Failures {
		writeFailure(&b, f)
		for _, back := range r.out.Reverted {
			if back.Instance == f.Instance && !told[f.Instance] && !f.Afterwards {
				b.WriteString("  " + r.putBackText(back) + "\n")
				told[f.Instance] = true
			}
		}
	}
	for _, back := range r.out.Reverted {
		if !told[back.Instance] {
			b.WriteString(back.Instance + ": " + r.putBackText(back) + "\n")
		}
		if back.Err != nil {
			writeLog(&b, back.Err.Log)
		}
	}
	if r.begun && !r.out.Gone {
		r.writeRuns(&b)
	}
	for _, advice := range r.advice() {
		b.WriteString(advice + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func writeFailure(b *strings.Builder, f Failure) {
	var parts []string
	if f.Instance != "" {
		parts = append(parts, f.Instance)
	}
	step := string(f.Step)
	if f.Err.Step != "" && f.Err.Step != step {
		step += " (" + f.Err.Step + ")"
	}
	if f.Afterwards {
		step += ", afterwards"
	}
	fmt.Fprintf(b, "%s\n", strings.Join(append(parts, step, clean(f.Err.Message)), ": "))
	writeLog(b, f.Err.Log)
}

func (r *run) putBackText(back Reverted) string {
	switch {
	case back.Err != nil && back.To == "":
		return "could not be taken off again: " + clean(back.Err.Message)
	case back.Err != nil && back.To == r.plan.Revision.ID:
		return "was left on " + r.name(back.To) + ": " + clean(back.Err.Message)
	case back.Err != nil:
		return "could not be put back to " + r.name(back.To) + ": " + clean(back.Err.Message)
	case back.To == "":
		return "taken off again: it ran nothing before"
	case back.Unchanged:
		return "still runs " + r.name(back.To) + ", healthy"
	}
	return "put back to " + r.name(back.To) + ", healthy"
}

// writeRuns tells what runs where.
func (r *run) writeRuns(b *strings.Builder) {
	if !r.out.Inspected {
		b.WriteString("What runs now could not be observed.\n")
		return
	}
	by, times := map[string][]string{}, map[string]int{}
	var order []string
	for n := range r.out.State.Instances {
		times[r.out.State.Instances[n].ID]++
	}
	for n := range r.out.State.Instances {
		i := &r.out.State.Instances[n]
		what := "runs nothing"
		if serving := i.Serving(); i.Unreachable != "" {
			what = "cannot be reached"
		} else if serving != nil {
			what = "runs " + r.name(serving.Revision.ID)
			if broken(serving.Health) {
				what += ", " + string(serving.Health)
			}
		}
		if by[what] == nil {
			order = append(order, what)
		}
		where := i.ID
		if times[i.ID] > 1 { // it moved
			where += " at " + clean(cmp.Or(i.Place, i.Address, "an unknown place"))
		}
		by[what] = append(by[what], where)
	}
	if len(order) > 0 {
		b.WriteString("Now:\n")
	}
	for _, what := range order {
		fmt.Fprintf(b, "  %s: %s\n", list(by[what]), what)
	}
}

// advice collects what the errors say to do, each once.
func (r *run) advice() []string {
	var all []string
	add := func(e *deployer.Error) {
		if e != nil && e.Advice != "" && !slices.Contains(all, e.Advice) {
			all = append(all, e.Advice)
		}
	}
	for _, f := range r.out.Failures {
		add(f.Err)
	}
	for _, back := range r.out.Reverted {
		add(back.Err)
	}
	return all
}

// writeLog shows the last lines of a log, without what could disturb a terminal.
func writeLog(b *strings.Builder, lines []string) {
	for _, line := range lines[max(0, len(lines)-logLines):] {
		line = clean(line)
		if runes := []rune(line); len(runes) > logColumns {
			line = string(runes[:logColumns]) + "…"
		}
		b.WriteString("    | " + line + "\n")
	}
}

// clean drops control characters.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case c != '\n' && unicode.IsControl(c):
			return -1
		}
		return c
	}, s)
}

func count(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// age rounds a duration for people.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
