// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// cutOff makes instances unreachable when a phase is about to be recorded.
func (r *rig) cutOff(phase string, ids ...string) {
	r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
		if c.Method != "Record" || c.Phase != phase {
			return rollouttest.Fault{}
		}
		return rollouttest.Fault{Do: func() {
			for _, id := range ids {
				r.fleet.Edit(id, func(p *rollouttest.Place) { p.Unreachable = "no route to host" })
			}
		}}
	}
}

func (r *rig) mend() {
	r.fleet.Script = nil
	for id := range r.everywhere("") {
		r.fleet.Edit(id, func(p *rollouttest.Place) { p.Unreachable = "" })
	}
}

// generation is what Inspect says.
func (r *rig) generation() int64 {
	r.Helper()
	state, err := r.fleet.Inspect(r.Context(), deployer.InspectRequest{Target: r.target})
	if err != nil {
		r.Fatal(err)
	}
	return state.Generation
}

func TestAnEndThatIsRecordedOnSomeInstancesCounts(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]bool{"success": false, "reverted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				if bad {
					r.fleet.Health = failing("1.1.0", "app-3")
				}
				r.cutOff(deployer.PhaseEnd, "app-2")
				out, err := r.roll(r.Context(), r.plan("1.1.0"))
				if bad {
					wants(r.T, err, rollout.ReasonFailed, "every switched instance was put back")
				} else {
					ok(r.T, err)
				}
				if out.Generation != 3 || out.State.Unfinished != nil {
					r.Errorf("outcome %+v", out)
				}
				text := strings.Join(out.Warnings, "\n")
				if !strings.Contains(text, "How it ended is recorded, but not everywhere: app-2: no route to host") || strings.Contains(text, "unfinished") {
					r.Errorf("warnings %q", out.Warnings)
				}
				truthful(r.T, r.fleet, out)

				r.mend()
				r.fleet.Health = nil
				next := r.plan("1.2.0")
				next.Generation = out.Generation
				_, err = r.roll(r.Context(), next)
				ok(r.T, err)
			})
		})
	}
}

func TestAnEndThatIsRecordedNowhereIsToldSo(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Health = failing("1.1.0", "app-3")
		r.cutOff(deployer.PhaseEnd, "app-1", "app-2", "app-3")
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed)
		if !slices.ContainsFunc(out.Warnings, func(w string) bool { return strings.Contains(w, "The next apply takes it for unfinished") }) || out.Generation != 2 {
			r.Errorf("generation %d, warnings %q", out.Generation, out.Warnings)
		}
	})
}

func TestABeginningThatIsRecordedOnSomeInstancesIsEnded(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.cutOff(deployer.PhaseBegin, "app-2")
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "before any instance was switched", "app-2: record: no route to host")
		ledger := r.fleet.Ledger("app-1")
		if end := ledger[len(ledger)-1]; end.Phase != deployer.PhaseEnd || end.Outcome != deployer.OutcomeFailed || end.Generation != 3 {
			r.Errorf("the ledger ends with %+v", end)
		}
		r.mend()
		if g := r.generation(); out.Generation != g || out.State.Unfinished != nil {
			r.Errorf("generation %d, the ledger says %d, outcome %+v", out.Generation, g, out)
		}
	})
}

func TestABeginningWhoseAnswerWasLostWithThePluginIsOurs(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
			if c.Method == "Record" && c.Phase == deployer.PhaseBegin {
				return rollouttest.Fault{Err: deployer.Errorf(deployer.CodePluginGone, "the plugin crashed"), After: true}
			}
			if c.Method == "Renew" {
				return rollouttest.Fault{Do: r.fleet.Steal} // the lock died with its session
			}
			return rollouttest.Fault{}
		}
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "the plugin crashed", "before any instance was switched")
		if out.Generation != 3 {
			r.Errorf("generation %d", out.Generation)
		}
	})
}
