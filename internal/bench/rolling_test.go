// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestJudgeRolling(t *testing.T) {
	t.Parallel()
	if got := judgeRolling(took(1000), took(1300)); got != nil {
		t.Errorf("1.3 times is allowed, got %q", got)
	}
	if got := judgeRolling(took(1000), took(1320)); len(got) != 1 || !strings.Contains(got[0], "1.32 times") {
		t.Errorf("got %q", got)
	}
}

// fleetOf is a fleet in memory with a first revision on it.
func fleetOf(t *testing.T, instances int) (*rollouttest.Fleet, *updates) {
	t.Helper()
	ids := make([]string, 0, instances)
	for n := range instances {
		ids = append(ids, fmt.Sprintf("app-%02d", n))
	}
	fleet := &rollouttest.Fleet{}
	u, err := newUpdates(t.Context(), fleet, rollouttest.Target(ids...), deployer.Artifact{})
	if err == nil {
		_, _, err = u.timed(t.Context(), deployer.OperationCreate, byEngine)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fleet, u
}

func TestBothWaysDoTheSame(t *testing.T) {
	t.Parallel()
	fleet, u := fleetOf(t, 25)
	for _, engineFirst := range []bool{false, true} {
		if _, _, err := u.both(t.Context(), engineFirst); err != nil {
			t.Fatal(err)
		}
	}
	if fleet.Locked() {
		t.Error("the lock was not given back")
	}
	if got := fleet.MaxOut(); got > rollParallel {
		t.Errorf("%d instances were out at once", got)
	}
	ledger := fleet.Ledger("app-00")
	if len(ledger) != 2*5 {
		t.Fatalf("the ledger has %d entries of five updates", len(ledger))
	}
	for n, entry := range ledger {
		if entry.Generation != int64(n+1) || entry.Owner != "bench" || (entry.Outcome == deployer.OutcomeSucceeded) != (n%2 == 1) {
			t.Errorf("entry %d of the ledger is %+v", n, entry)
		}
	}
}

func TestByHandFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*rollouttest.Fleet){
		"a call": func(f *rollouttest.Fleet) {
			f.Script = func(c rollouttest.Call) rollouttest.Fault {
				if c.Method == "Activate" && c.Instance == "app-11" {
					return rollouttest.Fault{Err: rollouttest.Broken(c.Instance, "no space")}
				}
				return rollouttest.Fault{}
			}
		},
		"a check": func(f *rollouttest.Fleet) {
			f.Health = func(instance, _ string, _ int) deployer.CheckResult {
				return deployer.CheckResult{Status: deployer.CheckWait, Reason: "no space"}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleet, u := fleetOf(t, 12)
			broken(fleet)
			if _, _, err := u.timed(t.Context(), deployer.OperationUpdate, byHand); err == nil || !strings.Contains(err.Error(), "no space") {
				t.Errorf("got %v", err)
			}
			if fleet.Locked() {
				t.Error("the lock was not given back")
			}
		})
	}
}

func TestWaysThatDiffer(t *testing.T) {
	t.Parallel()
	fleet, u := fleetOf(t, 2)
	fleet.Health = func(_, _ string, n int) deployer.CheckResult {
		if n == 1 && u.begun == 3 { // the engine's update
			return deployer.CheckResult{Status: deployer.CheckWait, Reason: "starting"}
		}
		return deployer.CheckResult{Status: deployer.CheckPass}
	}
	if _, _, err := u.both(t.Context(), false); err == nil || !strings.Contains(err.Error(), "cannot be compared") {
		t.Errorf("got %v", err)
	}
}
