// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestDiagnosticsTellEverything(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err     error
		summary string
		holds   []string
	}{
		"deployer": {
			err: fmt.Errorf("roll out: %w", &deployer.Error{
				Code: deployer.CodeFailed, Instance: "app-2", Step: "install", Message: "the command exited with status 1",
				Log: []string{"collecting", "token is s3cret-token"}, Advice: "Look at the command", Path: []string{"install", "1"},
			}),
			summary: "ssh.install[1]: The release could not be deployed",
			holds:   []string{"app-2: install: the command exited with status 1.", "  | collecting\n  | token is (sensitive value)", "Look at the command."},
		},
		"lock": {
			err: &deployer.Error{Code: deployer.CodeLocked, Message: "the target is locked", Holder: &deployer.Holder{
				Actor: "ann@ci", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Operation: deployer.Operation{ID: "op-7"}}},
			summary: "ssh: The release could not be deployed",
			holds:   []string{"held by ann@ci since 2026-01-02T03:04:05Z, operation op-7", "Wait until"},
		},
		"stage": {
			err: errors.Join(
				&pipeline.StageError{Stage: "unit", Reason: "2 of 9 tests failed", FailingTests: []string{"test_a", "test_b"}, FailingTotal: 2},
				&pipeline.StageError{Stage: "lint", Reason: `"ruff check" exited with status 1`, LogTail: []string{"E501"}}),
			summary: "ssh: The release could not be deployed",
			holds:   []string{`stage "unit": 2 of 9 tests failed`, "test_a", "test_b", `stage "lint"`, "  | E501", "No release was made"},
		},
		"source": {
			err: fmt.Errorf("resolve: %w", &source.Error{Kind: source.Unreachable, Message: "git.acme.io cannot be reached",
				Advice: "Check the network", Log: []string{"Connection refused"}}),
			summary: "ssh: The release could not be deployed",
			holds:   []string{"git.acme.io cannot be reached.", "Connection refused", "Check the network."},
		},
		"store": {
			err:     &store.AccessError{Location: "registry.acme.io/shop", Write: true, Reason: store.ReasonDenied, Detail: "403 Forbidden", Advice: "Log in"},
			summary: "ssh: The release could not be deployed",
			holds:   []string{"cannot write to the store registry.acme.io/shop: 403 Forbidden.", "Log in."},
		},
		"cancelled": {
			err:     fmt.Errorf("activate app-1: %w", context.Canceled),
			summary: "ssh: The release could not be deployed",
			holds:   []string{"Terraform asked to stop"},
		},
		"too late": {
			err:     context.DeadlineExceeded,
			summary: "ssh: The release could not be deployed",
			holds:   []string{"timeouts block"},
		},
		"anything else": {
			err:     errors.New("no space left on device"),
			summary: "ssh: The release could not be deployed",
			holds:   []string{"no space left on device."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got diag.Diagnostics
			d := Diagnostics{Diagnostics: &got, Redactor: NewRedactor("s3cret-token")}
			d.Error(path.Root("ssh"), "The release could not be deployed", c.err)
			if len(got) != 1 || got[0].Severity() != diag.SeverityError {
				t.Fatalf("got %v", got)
			}
			if got[0].Summary() != c.summary {
				t.Errorf("summary: got %q, want %q", got[0].Summary(), c.summary)
			}
			for _, want := range c.holds {
				if !strings.Contains(got[0].Detail(), want) {
					t.Errorf("the detail does not hold %q:\n%s", want, got[0].Detail())
				}
			}
			if strings.Contains(got[0].Detail(), "s3cret-token") {
				t.Error("a secret is in the detail")
			}
		})
	}
}

func TestDiagnosticsBoundLogs(t *testing.T) {
	t.Parallel()
	log := make([]string, 1000)
	for i := range log {
		log[i] = strings.Repeat("é", 2000)
	}
	text := Explanation{Message: "failed", Log: log}.text()
	if lines := strings.Count(text, "\n"); lines > logLines+5 {
		t.Errorf("%d lines", lines)
	}
	if most := (logLines + 1) * (logLineLength + 20); len(text) > most {
		t.Errorf("%d bytes", len(text))
	}
}

func TestDiagnosticsWithoutAttribute(t *testing.T) {
	t.Parallel()
	var got diag.Diagnostics
	Diagnostics{Diagnostics: &got}.Warning(path.Empty(), "The source cannot be reached", errors.New("timeout"))
	if len(got) != 1 || got[0].Severity() != diag.SeverityWarning || got[0].Summary() != "The source cannot be reached" {
		t.Errorf("got %v", got)
	}
}
