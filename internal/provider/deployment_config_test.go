// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
)

// configured is a configuration of delivery_deployment: what is required, and
// the arguments and blocks given as members of a JSON object.
func configured(t *testing.T, members string) tfsdk.Config {
	t.Helper()
	text := `{"name": "api", "environment": "test", "release_id": "shop:1.0.0", "local": {"path": "/srv/api"}`
	if members != "" {
		text += ", " + members
	}
	schema := resource.SchemaResponse{}
	NewDeploymentResource().Schema(context.Background(), resource.SchemaRequest{}, &schema)
	value, err := valueFromJSON(context.Background(), json.RawMessage(text+"}"), schema.Schema.Type())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := value.ToTerraformValue(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return tfsdk.Config{Raw: raw, Schema: schema.Schema}
}

func modelOf(t *testing.T, members string) deploymentModel {
	t.Helper()
	config := configured(t, members)
	var m deploymentModel
	if diags := config.Get(context.Background(), &m); diags.HasError() {
		t.Fatal(diags)
	}
	return m
}

// specOf is what a configuration asks for.
func specOf(t *testing.T, members string) deployment.Spec {
	t.Helper()
	m := modelOf(t, members)
	var diags diag.Diagnostics
	spec, _ := m.spec(context.Background(), m, Diagnostics{Diagnostics: &diags})
	if diags.HasError() {
		t.Fatal(told(diags))
	}
	return spec
}

// told is what diagnostics say.
func told(diags diag.Diagnostics) string {
	var all []string
	for _, d := range diags {
		all = append(all, d.Summary()+" | "+d.Detail())
	}
	return strings.Join(all, "\n")
}

// What no single attribute can tell is found all the same, at the attribute
// that has to be changed.
func TestMistakesAcrossAttributes(t *testing.T) {
	t.Parallel()
	analysis := func(more string) string {
		return fmt.Sprintf(`"analysis": [{"name": "errors", "success": "< 1", "no_data": "fail", %s}]`, more)
	}
	canary := func(steps string) string { return `"strategy": {"canary": {"step": [` + steps + `]}}` }
	for name, c := range map[string]struct{ config, want string }{
		"nothing more":            {``, ""},
		"no strategy":             {`"strategy": {}`, "strategy: No strategy | Add one of the blocks all_at_once, blue_green, canary and rolling"},
		"two strategies":          {`"strategy": {"rolling": {}, "canary": {"step": [{"instances": "1"}]}}`, "strategy.rolling: More than one strategy | "},
		"rolling":                 {`"strategy": {"rolling": {"max_parallel": "25%"}}`, ""},
		"no step":                 {canary(``), "strategy.canary: No step | Add at least one"},
		"an empty step":           {canary(`{}`), "strategy.canary.step[0]: A step to nowhere | Set instances"},
		"two measures":            {canary(`{"instances": "1", "weight": 10}`), "strategy.canary.step[0].weight: Two measures in one step"},
		"two kinds":               {canary(`{"instances": "1"}, {"weight": 10}`), "strategy.canary.step[1].weight: Steps of two kinds | The steps before this one set instances"},
		"no growth in weight":     {canary(`{"weight": 10}, {"weight": 50}, {"weight": 50}`), "strategy.canary.step[2].weight: A step that goes no further | 50 is not more than the 50 of"},
		"no growth in shares":     {canary(`{"instances": "1"}, {"instances": "20%"}, {"instances": "10%"}`), "strategy.canary.step[2].instances: A step that goes no further | 10% is not more than the 20% of"},
		"growth":                  {canary(`{"instances": "1"}, {"instances": "10%"}, {"instances": "2"}, {"instances": "50%", "analysis": []}`), ""},
		"an analysis of no name":  {canary(`{"weight": 10, "analysis": ["latency"]}`) + ", " + analysis(`"command": {"command": "echo 0"}`), `strategy.canary.step[0].analysis[0]: A name that nothing has | "latency" is not the name of an analysis: there is errors.`},
		"no analysis at all":      {canary(`{"weight": 10, "analysis": ["latency"]}`), "there is none."},
		"two probes":              {`"health_check": {"http": {"port": 1}, "grpc": {"port": 1}}`, "health_check.http: More than one probe | Keep one of the blocks grpc and http."},
		"no port":                 {`"health_check": {"grpc": {}}`, "health_check.grpc.port: A value is missing"},
		"no server name":          {`"health_check": {"grpc": {"port": 1, "secure": true, "tls": {}}}`, "health_check.grpc.tls.server_name: A value is missing"},
		"tls over http":           {`"health_check": {"http": {"port": 1, "tls": {"server_name": "a"}}}`, `health_check.http.tls: Certificates without TLS | The probe does not use TLS: set scheme = "https"`},
		"tls over plain grpc":     {`"health_check": {"grpc": {"port": 1, "tls": {"server_name": "a"}}}`, "health_check.grpc.tls: Certificates without TLS"},
		"tls":                     {`"health_check": {"http": {"port": 1, "scheme": "https", "tls": {"server_name": "a"}}}`, ""},
		"the body of HEAD":        {`"health_check": {"http": {"port": 1, "method": "HEAD", "body_matches": "ok"}}`, "health_check.http.body_matches: A body that never comes"},
		"an empty task":           {`"tasks": {"before": {"timeout": "1m"}}`, "tasks.before.command: A value is missing"},
		"an empty hook":           {`"hooks": {"undrain": {}}`, "hooks.undrain.command: A value is missing"},
		"nothing to measure":      {`"analysis": [{"name": "errors", "success": "< 1", "no_data": "fail"}]`, "analysis[0]: Nothing to measure | Add one of the blocks command, http and prometheus."},
		"two queries":             {analysis(`"command": {"command": "x"}, "http": {"url": "http://a"}`), "analysis[0].http: More than one query"},
		"no PromQL":               {analysis(`"prometheus": {"address": "http://a"}`), "analysis[0].prometheus.query: A value is missing"},
		"no URL":                  {analysis(`"http": {"pointer": "/a"}`), "analysis[0].http.url: A value is missing"},
		"a limit out of reach":    {analysis(`"count": 3, "failure_limit": 3, "command": {"command": "x"}`), "analysis[0].failure_limit: A limit that is never reached | 3 of 3"},
		"a limit alone":           {analysis(`"failure_limit": 1, "command": {"command": "x"}`), "analysis[0].failure_limit: A limit that is never reached | 1 of 1"},
		"two of a name":           {`"analysis": [{"name": "a", "success": "< 1", "no_data": "fail", "command": {"command": "x"}}, {"name": "a", "success": "< 1", "no_data": "fail", "command": {"command": "x"}}]`, "analysis[1].name: Given twice"},
		"a pause too long":        {canary(`{"weight": 10, "pause": "20m"}, {"weight": 50, "pause": "10m"}`), "timeouts.update: Less time than an update waits | The strategy and its analyses wait for 30m0s at least, and an update may take 30m0s"},
		"a pause and its timeout": {canary(`{"weight": 10, "pause": "20m"}, {"weight": 50, "pause": "10m"}`) + `, "timeouts": {"update": "1h"}`, ""},
		"an analysis too long":    {analysis(`"count": 100, "interval": "1m", "command": {"command": "x"}`), "timeouts.update: Less time"},
		"a version alone":         {`"secrets_wo_version": 1`, "secrets_wo_version: A version without secrets"},
		"a custom deployer":       {`"plugin": {"name": "edge"}`, "plugin: More than one deployer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := resource.ValidateConfigResponse{}
			(&deploymentResource{}).ValidateConfig(context.Background(), resource.ValidateConfigRequest{Config: configured(t, c.config)}, &resp)
			got := told(resp.Diagnostics)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
			if strings.Count(got, "\n") > 0 {
				t.Errorf("one mistake is told twice:\n%s", got)
			}
		})
	}
}
