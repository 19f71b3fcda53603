// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
)

// What one warning shows at most.
const (
	mostChanges   = 20 // lines about instances
	mostListed    = 12 // names of one kind
	mostBatches   = 12
	listedCommits = 12
)

// changeLines tell what happens to each instance, those that change alike in
// one line.
func changeLines(changes []deployment.Change) []string {
	var lines []string
	for n, c := range changes {
		if n == mostChanges && len(changes) > mostChanges+1 {
			rest := 0
			for _, c := range changes[n:] {
				rest += len(c.Instances)
			}
			return append(lines, fmt.Sprintf("… and %d more instances, each in another way.", rest))
		}
		lines = append(lines, instanceNames(c.Instances)+": "+changeText(c))
	}
	return lines
}

// changeText says what one instance runs afterwards, and how that differs from
// what it runs now.
func changeText(c deployment.Change) string {
	to := orLater(c.To)
	var parts []string
	switch c.Kind {
	case deployment.ChangeNew:
		parts = append(parts, "nothing of this deployment -> "+to)
	case deployment.ChangeRepair:
		parts = append(parts, fmt.Sprintf("%s stays and is put right: %s", to, c.Health))
	case deployment.ChangeVerify:
		parts = append(parts, to+" stays and is checked again: the rollout that brought it did not end well")
	case deployment.ChangeAddress:
		parts = append(parts, to+" stays; only its address is noted anew")
	case deployment.ChangeRevision:
		parts = append(parts, revisionText(c, to)...)
	}
	switch {
	case c.Moved:
		parts = append(parts, "at a new place")
	case c.AddressUnknown:
		parts = append(parts, "where is known after apply")
	}
	return strings.Join(parts, "; ")
}

func revisionText(c deployment.Change, to string) []string {
	first := c.From + " -> " + to
	if c.From == "" {
		first = "a release that is not known -> " + to
	}
	if c.From == c.To {
		first = to + " stays"
	}
	parts := []string{first}
	if !c.Detailed {
		if c.From == c.To && !c.Moved {
			parts = append(parts, "with another configuration")
		}
		return parts
	}
	if !c.Config.None() {
		parts = append(parts, differenceText(c.Config))
	}
	switch {
	case c.VariablesUnknown:
		parts = append(parts, "variables (known after apply)")
	case !c.Variables.None():
		parts = append(parts, "variables "+differenceText(c.Variables))
	}
	secrets := ""
	switch {
	case c.SecretsUnknown:
		secrets = fmt.Sprintf("secrets version %s -> (known after apply)", versionText(c.SecretsFrom))
	case c.SecretsTo != c.SecretsFrom:
		secrets = fmt.Sprintf("secrets version %s -> %s", versionText(c.SecretsFrom), versionText(c.SecretsTo))
	}
	if !c.Secrets.None() {
		if secrets == "" {
			secrets = "secrets"
		}
		secrets += " (" + differenceText(c.Secrets) + ")"
	}
	if secrets != "" {
		parts = append(parts, secrets)
	}
	return parts
}

func orLater(release string) string {
	if release == "" {
		return "a release that is known after apply"
	}
	return release
}

func versionText(version int64) string {
	if version == 0 {
		return "none"
	}
	return strconv.FormatInt(version, 10)
}

// differenceText lists what was changed by name, what was added and removed
// with the signs that plans have for it.
func differenceText(d deployment.Differences) string {
	var parts []string
	add := func(sign string, names []string, after string) {
		for n, name := range names {
			if n == mostListed && len(names) > mostListed+1 {
				parts = append(parts, fmt.Sprintf("%s%d more", sign, len(names)-n))
				return
			}
			parts = append(parts, sign+plainName(name)+after)
		}
	}
	add("", d.Changed, "")
	add("+ ", d.Added, "")
	add("- ", d.Removed, "")
	add("", d.Unknown, " (known after apply)")
	return strings.Join(parts, ", ")
}

// plainName is a name as it is, or quoted if it would be mistaken for more.
func plainName(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == ',' || r == ';' }) {
		return strconv.Quote(name)
	}
	return name
}

// commitList shows the newest commits, shortened when there are many.
func commitList(commits []commitModel) string {
	var parts []string
	for n, c := range commits {
		if n == listedCommits-2 && len(commits) > listedCommits {
			parts = append(parts, fmt.Sprintf("and %d more", len(commits)-n))
			break
		}
		sha := c.SHA.ValueString()
		parts = append(parts, fmt.Sprintf("%s %s (%s)", sha[:min(7, len(sha))], c.Subject.ValueString(), c.Author.ValueString()))
	}
	return strings.Join(parts, "; ")
}
