// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/conformance"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestExample drives somebody's first plugin, as a program.
func TestExample(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "delivery-deployer-example")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	build := exec.Command("go", "build", "-o", program, "../internal/exampledeployer")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	conformance.Run(t, conformance.Config{
		Executable: program,
		Target: func(t *testing.T) json.RawMessage {
			config, err := json.Marshal(map[string]string{"directory": t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			return config
		},
	})
}

func runWorld(t *testing.T, defect string) {
	t.Helper()
	w := &world{places: map[string]*place{}, defect: defect}
	conformance.Run(t, conformance.Config{
		Deployer: func() deployer.Core {
			if defect == "probes" {
				return credulous{platform{w}}
			}
			return platform{w}
		},
		Target: func(t *testing.T) json.RawMessage {
			config, err := json.Marshal(map[string]string{"place": t.Name()})
			if err != nil {
				t.Fatal(err)
			}
			return config
		},
	})
}

// TestWorld has every capability, so every check runs.
func TestWorld(t *testing.T) {
	t.Parallel()
	runWorld(t, "")
}

const defectVariable = "CONFORMANCE_DEFECT"

// TestVictim is run by TestDefects in a process of its own, and fails there.
func TestVictim(t *testing.T) {
	t.Parallel()
	if defect := os.Getenv(defectVariable); defect != "" {
		runWorld(t, defect)
	}
}

// TestDefects breaks the contract in one way at a time, and sees that the check
// meant for it fails.
func TestDefects(t *testing.T) {
	t.Parallel()
	for defect, check := range map[string]string{
		"owner":       "Activate/of_another_owner_is_refused",
		"fencing":     "Lock/old_tokens_are_fenced",
		"lock":        "Lock/refusal_names_the_holder",
		"holder":      "Lock/refusal_names_the_holder",
		"digest":      "Prepare/wrong_digest_is_refused",
		"prepare":     "Prepare/does_not_touch_what_runs",
		"unknown":     "Activate/unknown_revision_changes_nothing",
		"lie":         "Activate/there_and_back",
		"remove":      "Remove/of_nothing_succeeds",
		"history":     "History/is_newest_first",
		"prune":       "Prune/keeps_what_serves_and_what_was_good",
		"diagnostics": "Validate/refuses_a_typo_at_its_path",
		"state":       "Lock/state_is_what_Inspect_says",
		"steps":       "Record/the_whole_story_is_kept",
		"environment": "Run/has_the_environment",
		"names":       "Run/refuses_names_that_are_none",
		"probes":      "Check/no_probe_is_left_out",
	} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			victim := exec.Command(os.Args[0], "-test.run=^TestVictim$/^"+check+"$")
			victim.Env = append(os.Environ(), defectVariable+"="+defect)
			output, err := victim.CombinedOutput()
			if err == nil || !strings.Contains(string(output), "--- FAIL: TestVictim/"+check) {
				t.Errorf("the check %s passed: %v\n%s", check, err, output)
			}
		})
	}
}
