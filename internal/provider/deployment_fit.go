// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// checkFit refuses what this deployer cannot do, and what does not go with the
// instances that there will be.
func checkFit(d Diagnostics, spec deployment.Spec, wanted deployment.Wanted) {
	for _, n := range needs(spec) {
		if slices.ContainsFunc(n.capabilities, func(c deployer.Capability) bool { return !wanted.Description.Can(c) }) {
			d.Invalid(n.at, "The deployer cannot do this", fmt.Sprintf("%s, and the deployer %q cannot. %s.", n.what, spec.Deployer, n.instead))
		}
	}
	checkHooks(d, spec)
	if wanted.Validation.InstancesUnknown {
		return
	}
	instances := nameSet{what: "an instance of this deployment"}
	for _, i := range wanted.Validation.Instances {
		instances.names = append(instances.names, i.ID)
	}
	switch s := spec.Strategy.(type) {
	case rollout.Rolling:
		instances.checkAll(s.Order, path.Root("strategy").AtName("rolling").AtName("order"), d)
	case rollout.Canary:
		at := path.Root("strategy").AtName("canary")
		instances.checkAll(s.Order, at.AtName("order"), d)
		checkGrowth(s.Steps, len(wanted.Validation.Instances), at, d)
	}
}

// checkHooks refuses hooks where the traffic is moved and no instance is switched
// by itself: they would never run.
func checkHooks(d Diagnostics, spec deployment.Spec) {
	if spec.Hooks == (rollout.Hooks{}) || spec.Strategy == nil || !slices.Contains(spec.Strategy.Needs(), deployer.CanStage) {
		return
	}
	d.Invalid(path.Root("hooks"), "Hooks without a switch", fmt.Sprintf("strategy.%s runs the new revision beside the old one and moves the traffic, so that no instance has to be drained. Remove the hooks, or use rolling {}.", spec.Strategy.Name()))
}

// checkAll refuses names that nothing has.
func (s nameSet) checkAll(names []string, at path.Path, d Diagnostics) {
	for n, name := range names {
		s.checkName(name, at.AtListIndex(n), d)
	}
}

// checkGrowth refuses a canary whose numbers and shares, taken together, go
// back: of ten instances, 10% is less than 2.
func checkGrowth(steps []rollout.CanaryStep, instances int, at path.Path, d Diagnostics) {
	reached := 0
	for n, s := range steps {
		if s.Instances.IsZero() {
			continue
		}
		goes := s.Instances.Of(instances)
		if goes < reached {
			d.Invalid(at.AtName("step").AtListIndex(n).AtName("instances"), "A step back", fmt.Sprintf("%s is %d of %d instances, and the steps before reach %d: each step must go further.", s.Instances, goes, instances, reached))
			return
		}
		reached = goes
	}
}

// A need is a part of the configuration that only some deployers can do.
type need struct {
	at           path.Path
	capabilities []deployer.Capability
	what         string // it needs, as the beginning of a sentence
	instead      string // what to write instead
}

func needs(spec deployment.Spec) []need {
	var all []need
	strategy := path.Root("strategy")
	switch s := spec.Strategy.(type) {
	case rollout.BlueGreen:
		all = append(all, need{strategy.AtName("blue_green"), s.Needs(),
			"blue_green needs a deployer that can run two revisions side by side",
			"Use rolling {} instead, or canary with instances in its steps"})
	case rollout.Canary:
		if n := slices.IndexFunc(s.Steps, func(s rollout.CanaryStep) bool { return s.Weight > 0 }); n >= 0 {
			all = append(all, need{strategy.AtName("canary").AtName("step").AtListIndex(n).AtName("weight"),
				s.Needs(),
				"weight needs a deployer that can run two revisions side by side and share the traffic between them",
				`Use instances instead, such as instances = "10%"`})
		}
	}
	if spec.Health.Probe.Command != nil {
		all = append(all, need{path.Root("health_check").AtName("command"), []deployer.Capability{deployer.CanCheck},
			"A command as health check needs a deployer that can run commands on an instance",
			"Use http, tcp or grpc instead"})
	}
	for _, c := range []struct {
		block, name string
		command     rollout.Command
		instead     string
	}{
		{"tasks", "before", spec.Tasks.Before, "Run it in a stage of the pipeline or outside of this deployment"},
		{"tasks", "after", spec.Tasks.After, "Run it outside of this deployment"},
		{"hooks", "drain", spec.Hooks.Drain, "Leave it out"},
		{"hooks", "undrain", spec.Hooks.Undrain, "Leave it out"},
	} {
		if c.command.Command != "" {
			all = append(all, need{path.Root(c.block).AtName(c.name), []deployer.Capability{deployer.CanRun},
				c.block + "." + c.name + " needs a deployer that can run commands on an instance", c.instead})
		}
	}
	return all
}
