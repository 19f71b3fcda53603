// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// What a deployer cannot do, and what does not go with the instances, is
// refused at plan, at the attribute, with what to use instead.
func TestWhatADeployerCannotDoIsRefused(t *testing.T) {
	t.Parallel()
	const analysis = `"analysis": []`
	for name, c := range map[string]struct {
		config string
		can    []deployer.Capability
		want   string
	}{
		"rolling":             {`"strategy": {"rolling": {"order": ["app-2"]}}`, nil, ""},
		"blue and green":      {`"strategy": {"blue_green": {}}`, nil, `strategy.blue_green: The deployer cannot do this | blue_green needs a deployer that can run two revisions side by side, and the deployer "local" cannot. Use rolling {} instead`},
		"blue and green, can": {`"strategy": {"blue_green": {}}`, []deployer.Capability{deployer.CanStage, deployer.CanRetire}, ""},
		"weight":              {`"strategy": {"canary": {"step": [{"weight": 10}]}}`, []deployer.Capability{deployer.CanStage}, `strategy.canary.step[0].weight: The deployer cannot do this`},
		"weight, can":         {`"strategy": {"canary": {"step": [{"weight": 10}]}}`, []deployer.Capability{deployer.CanStage, deployer.CanRetire, deployer.CanShift}, ""},
		"instances":           {`"strategy": {"canary": {"step": [{"instances": "1"}]}}`, nil, ""},
		"a step back":         {`"strategy": {"canary": {"step": [{"instances": "2"}, {"instances": "40%"}]}}`, nil, "strategy.canary.step[1].instances: A step back | 40% is 1 of 3 instances, and the steps before reach 2"},
		"a command as probe":  {`"health_check": {"command": {"command": "true"}}`, nil, "health_check.command: The deployer cannot do this"},
		"a task":              {`"tasks": {"before": {"command": "a"}}`, nil, "tasks.before: The deployer cannot do this"},
		"a hook":              {`"hooks": {"undrain": {"command": "a"}}`, nil, "hooks.undrain: The deployer cannot do this"},
		"commands, can": {`"tasks": {"before": {"command": "a"}, "after": {"command": "a"}}, "hooks": {"drain": {"command": "a"}}, "health_check": {"command": {"command": "true"}}`,
			[]deployer.Capability{deployer.CanRun, deployer.CanCheck}, ""},
		"hooks that would never run": {`"strategy": {"blue_green": {}}, "hooks": {"drain": {"command": "a"}}`,
			[]deployer.Capability{deployer.CanRun, deployer.CanStage, deployer.CanRetire}, "hooks: Hooks without a switch | strategy.blue_green runs the new revision beside the old one"},
		"a name":        {`"strategy": {"rolling": {"order": ["app-1", "app-4"]}}`, nil, `strategy.rolling.order[1]: A name that nothing has | "app-4" is not the name of an instance of this deployment: there is app-1, app-2 and app-3.`},
		"a canary name": {`"strategy": {"canary": {"order": ["app-4"], "step": [{"instances": "1"}]}}`, nil, "strategy.canary.order[0]: A name that nothing has"},
		"nothing":       {analysis, nil, ""},
	} {
		wanted := deployment.Wanted{Description: deployer.Description{Capabilities: c.can}}
		wanted.Validation.Instances = []deployer.DesiredInstance{{ID: "app-1"}, {ID: "app-2"}, {ID: "app-3"}}
		var diags diag.Diagnostics
		checkFit(Diagnostics{Diagnostics: &diags}, specOf(t, c.config), wanted)
		got := told(diags)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q, want %q in it", name, got, c.want)
		}
	}
}

// Which instances there will be may be known only later.
func TestUnknownInstancesFitEveryOrder(t *testing.T) {
	t.Parallel()
	wanted := deployment.Wanted{Validation: deployer.Validation{InstancesUnknown: true}}
	var diags diag.Diagnostics
	checkFit(Diagnostics{Diagnostics: &diags}, specOf(t, `"strategy": {"rolling": {"order": ["app-4"]}}`), wanted)
	if len(diags) > 0 {
		t.Error(told(diags))
	}
}
