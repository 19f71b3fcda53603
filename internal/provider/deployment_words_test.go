// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestChangeText(t *testing.T) {
	t.Parallel()
	revision := deployment.Change{Kind: deployment.ChangeRevision, From: "shop:1.4.1", To: "shop:1.5.0", Detailed: true}
	with := func(change func(*deployment.Change)) deployment.Change {
		c := revision
		change(&c)
		return c
	}
	for want, c := range map[string]deployment.Change{
		"shop:1.4.1 -> shop:1.5.0": revision,
		"shop:1.4.1 -> shop:1.5.0; service.command; variables + FLASK_ENV, - DEBUG; secrets version 2 -> 3": with(func(c *deployment.Change) {
			c.Config.Changed, c.Variables = []string{"service.command"}, deployment.Differences{Added: []string{"FLASK_ENV"}, Removed: []string{"DEBUG"}}
			c.SecretsFrom, c.SecretsTo = 2, 3
		}),
		"shop:1.5.0 stays; variables MODE": with(func(c *deployment.Change) {
			c.From, c.Variables.Changed = c.To, []string{"MODE"}
		}),
		"shop:1.5.0 stays; with another configuration": with(func(c *deployment.Change) { c.From, c.Detailed = c.To, false }),
		"shop:1.4.1 -> shop:1.5.0; secrets version none -> 1 (+ DB_URL)": with(func(c *deployment.Change) {
			c.SecretsTo, c.Secrets.Added = 1, []string{"DB_URL"}
		}),
		"shop:1.4.1 -> shop:1.5.0; secrets (- OLD)": with(func(c *deployment.Change) { c.Secrets.Removed = []string{"OLD"} }),
		"shop:1.4.1 -> a release that is known after apply; secrets version 2 -> (known after apply)": with(func(c *deployment.Change) {
			c.To, c.SecretsFrom, c.SecretsUnknown = "", 2, true
		}),
		"shop:1.4.1 -> shop:1.5.0; install (known after apply); variables (known after apply)": with(func(c *deployment.Change) {
			c.Config.Unknown, c.VariablesUnknown = []string{"install"}, true
		}),
		"a release that is not known -> shop:1.5.0":                                           with(func(c *deployment.Change) { c.From = "" }),
		"shop:1.4.1 -> shop:1.5.0; at a new place":                                            with(func(c *deployment.Change) { c.Moved = true }),
		"shop:1.4.1 -> shop:1.5.0; where is known after apply":                                with(func(c *deployment.Change) { c.AddressUnknown = true }),
		"nothing of this deployment -> shop:1.5.0":                                            {Kind: deployment.ChangeNew, To: "shop:1.5.0"},
		"shop:1.5.0 stays and is put right: stopped":                                          {Kind: deployment.ChangeRepair, To: "shop:1.5.0", Health: "stopped"},
		"shop:1.5.0 stays; only its address is noted anew":                                    {Kind: deployment.ChangeAddress, To: "shop:1.5.0"},
		"shop:1.5.0 stays and is checked again: the rollout that brought it did not end well": {Kind: deployment.ChangeVerify, To: "shop:1.5.0"},
	} {
		if got := changeText(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// However much changes, a warning is one that can be read.
func TestChangeLinesAreBounded(t *testing.T) {
	t.Parallel()
	var changes []deployment.Change
	for n := range 1000 {
		changes = append(changes, deployment.Change{
			Instances: []string{fmt.Sprintf("app-%d", n)}, Kind: deployment.ChangeRevision, From: fmt.Sprintf("shop:%d", n), To: "shop:1.5.0",
		})
	}
	lines := changeLines(changes)
	if len(lines) != mostChanges+1 || lines[mostChanges] != "… and 980 more instances, each in another way." {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	names := make([]string, 100)
	for n := range names {
		names[n] = fmt.Sprintf("FIELD_%d", n)
	}
	if got := differenceText(deployment.Differences{Added: names}); !strings.HasSuffix(got, "+ FIELD_11, + 88 more") {
		t.Error(got)
	}
}

func warningsOf(diags diag.Diagnostics) []string {
	var all []string
	for _, d := range diags {
		all = append(all, d.Severity().String()+" "+d.Summary()+": "+d.Detail())
	}
	return all
}

func TestTellFailed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	note := deployment.FailedNote{Revision: "r", Release: "shop:1.5.0", Reason: "rolling out shop:1.5.0 failed on app-1 at check", Time: at}
	e := explanation{planned: deployment.Planned{Revision: "r"}, private: deployment.Private{Failed: []deployment.FailedNote{note}}}
	e.spec.ReleaseID = "shop:1.5.0"
	told := "At 2026-03-01T12:00:00Z: rolling out shop:1.5.0 failed on app-1 at check."
	for name, c := range map[string]struct {
		change func(*explanation)
		want   []string
	}{
		"tried again": {func(*explanation) {}, []string{"Warning release_id: shop:1.5.0 failed here before: " + told + "\nIt is tried again by this apply."}},
		"refused": {func(e *explanation) { e.spec.Revert.RefuseFailed = true }, []string{
			"Warning release_id: shop:1.5.0 failed here before: " + told + "\nWith revert.retry_failed = false the apply refuses it, until the release or its configuration changes.",
		}},
		"another configuration": {func(e *explanation) { e.planned.Revision = "other" }, []string{"Warning release_id: shop:1.5.0 failed here before, with another configuration: " + told}},
		"not known yet":         {func(e *explanation) { e.planned.Revision, e.spec.ReleaseID = "", "" }, nil},
		"good by now":           {func(e *explanation) { e.planned.Revision, e.known.RunningReleaseID = "other", "shop:1.5.0" }, nil},
		"another release":       {func(e *explanation) { e.planned.Revision, e.spec.ReleaseID = "other", "shop:2.0.0" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := e
			c.change(&e)
			var diags diag.Diagnostics
			e.tellFailed(Diagnostics{Diagnostics: &diags})
			if diff := cmp.Diff(c.want, warningsOf(diags)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a deployer foresees is never more than a warning, and never too much.
func TestTellFindings(t *testing.T) {
	t.Parallel()
	e := explanation{at: path.Root("ssh"), wanted: deployment.Wanted{Schema: bundled["ssh"].target}}
	findings := []deployer.Diagnostic{{Path: []string{"hosts", "app-1"}, Summary: "A host is full", Detail: strings.Repeat("x", 10_000)}}
	for n := range 100 {
		findings = append(findings, deployer.Diagnostic{Summary: fmt.Sprintf("Finding %d", n)})
	}
	var diags diag.Diagnostics
	e.tellFindings(Diagnostics{Diagnostics: &diags}, findings)
	got := warningsOf(diags)
	if diags.HasError() || len(got) != mostFindings+1 || !strings.HasPrefix(got[0], `Warning ssh.hosts["app-1"]: A host is full`) || len(got[0]) > longestFinding+100 {
		t.Errorf("%d warnings, first %.200s", len(got), got[0])
	}
	if !strings.Contains(got[mostFindings], "81 more") {
		t.Error(got[mostFindings])
	}
}
