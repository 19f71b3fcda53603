// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// checkChecks are about Check and its probes.
var checkChecks = []check{
	{"Check/judges_what_serves", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.passes("r1")
	}},
	{"Check/no_probe_is_left_out", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		r.passes("r1")
		const nobody = 1 // a port
		for kind, probe := range map[string]deployer.Probe{
			"HTTP": {HTTP: &deployer.HTTPProbe{Port: nobody}},
			"TCP":  {TCP: &deployer.TCPProbe{Port: nobody}},
			"gRPC": {GRPC: &deployer.GRPCProbe{Port: nobody}},
		} {
			result, err := r.check("r1", probe, 0)
			if err != nil {
				r.refused(err, kind, deployer.CodeUnsupported)
			} else if result.Status == deployer.CheckPass {
				r.Errorf("%s passes where nobody is: %s", kind, result.Reason)
			}
		}
		result, err := r.check("r1", deployer.Probe{Command: &deployer.CommandProbe{Command: "exit 1"}}, 0)
		if err != nil {
			r.refused(err, "a command", deployer.CodeUnsupported)
		} else if result.Status == deployer.CheckPass {
			r.Errorf("a command that fails passes: %s", result.Reason)
		}
	}},
	{"Check/refuses_a_wrong_probe", nil, func(r *rig) {
		r.deploy("r1", deployer.OutcomeSucceeded)
		for what, probe := range map[string]deployer.Probe{
			"a pattern that is none": {HTTP: &deployer.HTTPProbe{Port: 80, BodyMatches: "["}},
			"a CA that is none":      {GRPC: &deployer.GRPCProbe{Port: 80, Secure: true, TLS: &deployer.ProbeTLS{CA: "nobody"}}},
		} {
			_, err := r.check("r1", probe, 0)
			r.refused(err, what, deployer.CodeInvalid, deployer.CodeUnsupported)
		}
	}},
}

// check asks for one judgement of the first instance.
func (r *rig) check(id string, probe deployer.Probe, wait time.Duration) (deployer.CheckResult, error) {
	return r.deployer.Check(r.ctx(), deployer.CheckRequest{
		Target: r.target, Instance: r.first(), RevisionID: id, Probe: probe, Timeout: 5 * time.Second, Wait: wait,
	})
}

// passes waits until the platform judges a revision good.
func (r *rig) passes(id string) {
	r.Helper()
	for r.Context().Err() == nil {
		result, err := r.check(id, deployer.Probe{}, 5*time.Second)
		r.must(err, "Check")
		if result.Status == deployer.CheckPass {
			return
		}
		if result.Status != deployer.CheckWait {
			r.Fatalf("what serves is judged %q: %s %q", result.Status, result.Reason, result.Log)
		}
	}
}
