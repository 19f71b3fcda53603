// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestABadRevisionIsPutBackInReverse(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Health = failing("1.1.0", "app-3")
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed,
			"rolling out shop:1.1.0 (revision 1.1.0) failed on app-3 at health check; every switched instance was put back",
			"it was not healthy for 10s within 1m0s: GET /healthz: 500", "    | KeyError: DB_URL",
			"  put back to shop:1.0.0 (revision 1.0.0), healthy", "app-1: put back to")
		r.runs(r.everywhere("1.0.0"))
		truthful(r.T, r.fleet, out)
		var order []string
		for _, c := range r.fleet.Methods("Activate") {
			if c.Revision == "1.0.0" {
				order = append(order, c.Instance)
			}
		}
		same(r.T, "put back", order, []string{"app-3", "app-2", "app-1"})
		if out.Result != deployer.OutcomeReverted || out.LastGood.ID != "1.0.0" || r.fleet.Locked() {
			r.Errorf("outcome %+v", out)
		}
		ledger := r.fleet.Ledger("app-1")
		if end := ledger[len(ledger)-1]; end.Outcome != deployer.OutcomeReverted || end.Runs["app-3"] != "1.0.0" || end.Reason == "" {
			r.Errorf("recorded %+v", end)
		}
	})
}

func TestFailuresAtEveryStep(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		script   func(rollouttest.Call) rollouttest.Fault
		health   func(string, string, int) deployer.CheckResult
		artifact error
		switched int
		text     string
		nothing  bool // nothing at all was written
	}{
		"artifact": {artifact: errors.New("the registry refused"), text: "artifact: the registry refused", nothing: true},
		"begin": {
			script: on("Record", "", "", rollouttest.Fault{Err: rollouttest.Broken("app-1", "no space")}),
			text:   "app-1: record: no space",
		},
		"prepare": {
			script: on("Prepare", "app-2", "", rollouttest.Fault{Err: rollouttest.Broken("app-2", "no space left on device")}),
			text:   "app-2: prepare: no space left on device",
		},
		"activate without effect": {
			script: on("Activate", "app-2", "1.1.0", rollouttest.Fault{Err: rollouttest.Broken("app-2", "permission denied")}),
			text:   "app-2: activate: permission denied", switched: 2,
		},
		"activate with effect": {
			script: on("Activate", "app-2", "1.1.0", rollouttest.Fault{Err: rollouttest.Broken("app-2", "cannot start"), After: true}),
			text:   "app-2: activate: cannot start", switched: 2,
		},
		"plugin gone once": {
			script: on("Activate", "app-2", "1.1.0", rollouttest.Fault{Err: deployer.Errorf(deployer.CodePluginGone, "the plugin crashed"), After: true}),
			text:   "the plugin crashed", switched: 2,
		},
		"dies": {
			health: func(_, r string, _ int) deployer.CheckResult {
				if r == "1.1.0" {
					return deployer.CheckResult{Status: deployer.CheckDead, Reason: "exited with status 1", Log: []string{"no module named app"}}
				}
				return deployer.CheckResult{Status: deployer.CheckPass}
			},
			text: "exited with status 1\n    | no module named app", switched: 1,
		},
		"flaps": {
			health: func(_, r string, n int) deployer.CheckResult {
				if r == "1.1.0" && n%5 == 0 {
					return deployer.CheckResult{Status: deployer.CheckFail, Reason: "refused"}
				}
				return deployer.CheckResult{Status: deployer.CheckPass}
			},
			text: "it was not healthy for 10s within 1m0s: refused", switched: 1,
		},
		"check refused": {
			script: on("Check", "app-3", "1.1.0", rollouttest.Fault{Err: deployer.Errorf(deployer.CodeInvalid, "no such probe")}),
			text:   "no such probe", switched: 3,
		},
	}
	for name, c := range cases {
		for _, automatic := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", reverted", false: ", left"}[automatic], func(t *testing.T) {
				t.Parallel()
				bubble(t, func(r *rig) {
					r.fleet.Install(r.target, owner, "1.0.0")
					r.fleet.Script, r.fleet.Health = c.script, c.health
					plan := r.plan("1.1.0")
					plan.Revert.Automatic = automatic
					if c.artifact != nil {
						plan.Artifact = func(context.Context) (deployer.Artifact, error) { return deployer.Artifact{}, c.artifact }
					}
					out, err := r.roll(r.Context(), plan)
					wants(r.T, err, rollout.ReasonFailed, c.text)
					truthful(r.T, r.fleet, out)
					if len(out.Switched) != c.switched {
						r.Errorf("switched %v, want %d", out.Switched, c.switched)
					}
					switch {
					case automatic || c.switched == 0:
						r.runs(r.everywhere("1.0.0"))
					case len(out.Reverted) > 0:
						r.Error("put back although that was not wanted")
					}
					want := deployer.OutcomeFailed
					if automatic && c.switched > 0 {
						want = deployer.OutcomeReverted
					}
					if c.nothing {
						want = ""
						if len(r.fleet.Methods("Record")) > 0 || out.Touched {
							r.Error("something was written")
						}
					}
					if out.Result != want {
						r.Errorf("result %q, want %q", out.Result, want)
					}
					if r.fleet.Locked() {
						r.Error("still locked")
					}
				})
			})
		}
	}
}

func TestOnePreparationThatFailsLeavesEveryInstanceUntouched(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
			switch {
			case c.Method == "Prepare" && c.Instance == "app-2":
				return rollouttest.Fault{Err: rollouttest.Broken("app-2", "no space")}
			case c.Method == "Prepare":
				return rollouttest.Fault{Hang: true} // until it is stopped
			}
			return rollouttest.Fault{}
		}
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "before any instance was switched", "app-1, app-2, app-3: runs shop:1.0.0")
		if len(r.fleet.Methods("Activate")) > 0 || len(err.Failures) != 1 || out.Result != deployer.OutcomeFailed {
			r.Errorf("outcome %+v", out)
		}
	})
}

func TestARevertThatFailsIsToldInstanceByInstance(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Health = failing("1.1.0", "app-3")
		r.fleet.Script = on("Activate", "app-2", "1.0.0", rollouttest.Fault{Err: rollouttest.Broken("app-2", "read-only file system")})
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "not every instance could be put back",
			"app-2: could not be put back to shop:1.0.0 (revision 1.0.0): read-only file system",
			"app-1, app-3: runs shop:1.0.0", "app-2: runs shop:1.1.0")
		if out.Result != deployer.OutcomeRevertFailed || len(out.Reverted) != 3 {
			r.Errorf("outcome %+v", out)
		}
		r.runs(map[string]string{"app-1": "1.0.0", "app-2": "1.1.0", "app-3": "1.0.0"})
		truthful(r.T, r.fleet, out)
	})
}

func TestARevertIsVerified(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Health = func(instance, revision string, _ int) deployer.CheckResult {
			if instance == "app-1" && revision == "1.0.0" || revision == "1.1.0" && instance == "app-2" {
				return deployer.CheckResult{Status: deployer.CheckDead, Reason: "database is gone"}
			}
			return deployer.CheckResult{Status: deployer.CheckPass}
		}
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "app-1: could not be put back to shop:1.0.0 (revision 1.0.0): database is gone")
		if out.Result != deployer.OutcomeRevertFailed {
			r.Errorf("result %s", out.Result)
		}
	})
}

func TestWhereARevertGoes(t *testing.T) {
	t.Parallel()
	good := "1.0.0"
	cases := map[string]struct {
		setup func(*rig)
		want  map[string]string
		text  string
	}{
		"to the last good, not to what was put there by hand": {
			setup: func(r *rig) { r.fleet.Edit("app-1", func(p *rollouttest.Place) { p.Serving = "0.9.0" }) },
			want:  map[string]string{"app-1": good, "app-2": good},
		},
		"to what it ran, when the last good is gone": {
			setup: func(r *rig) {
				r.fleet.Edit("app-1", func(p *rollouttest.Place) { p.Serving, p.Lost = "0.9.0", []string{good} })
			},
			want: map[string]string{"app-1": "0.9.0", "app-2": good},
		},
		"a newcomer runs nothing": {
			setup: func(r *rig) {
				r.fleet.Edit("app-1", func(p *rollouttest.Place) { *p = rollouttest.Place{Lost: []string{good, "0.9.0"}} })
			},
			want: map[string]string{"app-2": good},
			text: "app-1: taken off again: it ran nothing before",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "0.9.0")
				r.fleet.Install(r.target, owner, good)
				c.setup(r)
				r.fleet.Health = failing("1.1.0", "app-2")
				out, err := r.roll(r.Context(), r.plan("1.1.0"))
				wants(r.T, err, rollout.ReasonFailed, c.text)
				r.runs(c.want)
				truthful(r.T, r.fleet, out)
				if out.Result != deployer.OutcomeReverted {
					r.Errorf("result %s", out.Result)
				}
			}, "app-1", "app-2")
		})
	}
}

func TestARepairThatFailsHasNothingToGoBackTo(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Edit("app-2", func(p *rollouttest.Place) { p.Health = deployer.HealthStopped })
		r.fleet.Health = failing("1.0.0", "app-2")
		out, err := r.roll(r.Context(), r.plan("1.0.0"))
		wants(r.T, err, rollout.ReasonFailed, "app-2", "was left on shop:1.0.0", "no other one to go back to")
		if out.Result != deployer.OutcomeRevertFailed {
			r.Errorf("result %s", out.Result)
		}
	})
}

func TestAnInstanceThatNeverSwitchedIsNotSwitchedBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = on("Activate", "app-1", "1.1.0", rollouttest.Fault{Err: rollouttest.Broken("app-1", "refused")})
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "still runs shop:1.0.0 (revision 1.0.0), healthy")
		if n := len(r.fleet.Methods("Activate")); n != 1 || !out.Reverted[0].Unchanged {
			r.Errorf("%d activations, reverted %+v", n, out.Reverted)
		}
	})
}

// A look that fails says nothing: what was seen before the rollout must not
// pass for what runs now.
func TestARevertWithoutALookStillPutsBack(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]deployer.Code{"failed": deployer.CodeFailed, "refused": deployer.CodeRefused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Install(r.target, owner, "1.0.0")
				r.fleet.Health = failing("1.1.0", "app-2")
				r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
					if c.Method == "Inspect" && c.N > 1 {
						return rollouttest.Fault{Err: deployer.Errorf(code, "no answer")}
					}
					return rollouttest.Fault{}
				}
				out, err := r.roll(r.Context(), r.plan("1.1.0"))
				wants(r.T, err, rollout.ReasonFailed, "app-1: put back to shop:1.0.0", "What runs now could not be observed")
				r.runs(r.everywhere("1.0.0"))
				for _, back := range out.Reverted {
					if back.Unchanged {
						r.Errorf("%s is said to have stayed as it was", back.Instance)
					}
				}
				ledger := r.fleet.Ledger("app-1")
				if end := ledger[len(ledger)-1]; end.Phase != deployer.PhaseEnd || len(end.Runs) > 0 {
					r.Errorf("recorded what nobody saw: %+v", end)
				}
			})
		})
	}
}

func TestALookThatFailsOnceIsTakenAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Health = failing("1.1.0", "app-2")
		r.fleet.Script = func(c rollouttest.Call) rollouttest.Fault {
			if c.Method == "Inspect" && c.N == 2 {
				return rollouttest.Fault{Err: deployer.Errorf(deployer.CodeFailed, "no answer")}
			}
			return rollouttest.Fault{}
		}
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "every switched instance was put back")
		if len(err.Failures) != 1 || !out.Inspected {
			r.Errorf("outcome %+v", out)
		}
	})
}

func TestAFailedFirstDeploymentLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, automatic := range map[string]bool{"reverting": true, "even when not reverting": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(r *rig) {
				r.fleet.Health = failing("1.0.0", "app-3")
				plan := r.create("1.0.0")
				plan.Revert.Automatic = automatic
				out, err := r.roll(r.Context(), plan)
				wants(r.T, err, rollout.ReasonFailed, "it was taken off again, nothing of it is left", "app-3: health check")
				if !r.fleet.Empty() || !out.Gone || r.fleet.Locked() {
					r.Errorf("left: %v, outcome %+v", r.fleet.Runs(), out)
				}
			})
		})
	}
}

func TestAFailedFirstDeploymentThatCannotBeTakenOff(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Health = failing("1.0.0", "app-2")
		r.fleet.Script = on("Remove", "app-1", "", rollouttest.Fault{Err: rollouttest.Broken("app-1", "device is busy")})
		out, err := r.roll(r.Context(), r.create("1.0.0"))
		wants(r.T, err, rollout.ReasonFailed, "could not be taken off everywhere", "app-1: remove, afterwards: device is busy", "app-1: runs shop:1.0.0")
		if out.Gone || out.Result != deployer.OutcomeRevertFailed {
			r.Errorf("outcome %+v", out)
		}
		truthful(r.T, r.fleet, out)
	})
}

func TestAPlatformBetweenOldAndNewConverges(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Without = []deployer.Capability{deployer.Atomic}
		r.fleet.Install(r.target, owner, "1.0.0")
		r.fleet.Script = on("Activate", "app-2", "1.1.0", rollouttest.Fault{Between: true, Err: rollouttest.Broken("app-2", "two of four replicas")})
		out, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "two of four replicas")
		r.runs(r.everywhere("1.0.0"))
		for _, i := range out.State.Instances {
			if len(i.Parts) > 0 {
				r.Errorf("%s is still between: %+v", i.ID, i.Parts)
			}
		}
	})
}

type analyzer func(context.Context, rollout.Gate) error

func (a analyzer) Analyze(ctx context.Context, gate rollout.Gate) error { return a(ctx, gate) }

func TestTheAnalysisIsALastGate(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		r.engine = &rollout.Engine{Deployer: r.fleet, Description: r.fleet.Description(), Analyzer: analyzer(
			func(_ context.Context, gate rollout.Gate) error {
				if !slices.Equal(gate.Instances, []string{"app-1", "app-2", "app-3"}) || gate.Revision.ID != "1.1.0" {
					r.Errorf("gate %+v", gate)
				}
				return errors.New("error rate is 7 %")
			})}
		_, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "analysis: error rate is 7 %")
		r.runs(r.everywhere("1.0.0"))
	})
}

func TestLogsCannotDisturbATerminal(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.fleet.Install(r.target, owner, "1.0.0")
		broken := rollouttest.Broken("app-1", "no\x1b[2J good")
		broken.Log = append(slices.Repeat([]string{"old"}, 50), "\x1b]0;evil\x07"+strings.Repeat("x", 1000))
		r.fleet.Script = on("Prepare", "app-1", "", rollouttest.Fault{Err: broken})
		_, err := r.roll(r.Context(), r.plan("1.1.0"))
		wants(r.T, err, rollout.ReasonFailed, "xxx…")
		if strings.ContainsRune(err.Error(), 0x1b) || strings.Count(err.Error(), "| old") != 19 {
			r.Errorf("text:\n%q", err.Error())
		}
	})
}
