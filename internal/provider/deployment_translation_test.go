// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestStrategiesAreTranslated(t *testing.T) {
	t.Parallel()
	check := `"health_check": {"tcp": {"port": 1}}, `
	for name, c := range map[string]struct {
		config string
		want   rollout.Strategy
	}{
		"none":                   {``, rollout.Rolling{MaxParallel: rollout.Count(1), MinHealthyTime: 2 * time.Second}},
		"none, with a check":     {check + `"revert": {}`, rollout.Rolling{MaxParallel: rollout.Count(1)}},
		"rolling":                {`"strategy": {"rolling": {}}`, rollout.Rolling{MaxParallel: rollout.Count(1), MinHealthyTime: 2 * time.Second}},
		"rolling, in words":      {`"strategy": {"rolling": {"max_parallel": "25%", "max_failures": 2, "min_healthy_time": "3s", "pause": "1m", "order": ["b", "a"]}}`, rollout.Rolling{MaxParallel: rollout.Percent(25), MaxFailures: 2, MinHealthyTime: 3 * time.Second, Pause: time.Minute, Order: []string{"b", "a"}}},
		"all at once":            {check + `"strategy": {"all_at_once": {}}`, rollout.AllAtOnce{}},
		"all at once, unchecked": {`"strategy": {"all_at_once": {}}`, rollout.AllAtOnce{MinHealthyTime: 2 * time.Second}},
		"blue and green":         {`"strategy": {"blue_green": {"min_healthy_time": "0s", "keep_old": "5m"}}`, rollout.BlueGreen{KeepOld: 5 * time.Minute}},
		"canary by instances": {`"strategy": {"canary": {"max_parallel": "3", "min_healthy_time": "1s", "order": ["c"], "step": [{"instances": "1", "pause": "1m"}, {"instances": "10%", "analysis": []}, {"instances": "50%", "analysis": ["errors"]}]}}`,
			rollout.Canary{MaxParallel: rollout.Count(3), MinHealthyTime: time.Second, Order: []string{"c"}, Steps: []rollout.CanaryStep{
				{Instances: rollout.Count(1), Pause: time.Minute}, {Instances: rollout.Percent(10), Analyses: []string{}}, {Instances: rollout.Percent(50), Analyses: []string{"errors"}},
			}}},
		"canary by traffic": {check + `"strategy": {"canary": {"step": [{"weight": 10}, {"weight": 100}]}}`,
			rollout.Canary{MaxParallel: rollout.Count(1), Steps: []rollout.CanaryStep{{Weight: 10}, {Weight: 100}}}},
	} {
		if got := specOf(t, c.config).Strategy; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", name, got, c.want)
		}
	}
}

func TestHealthChecksAreTranslated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		want   rollout.HealthCheck
	}{
		"none": {``, rollout.HealthCheck{}},
		"the platform's own": {`"health_check": {"interval": "2s", "timeout": "3s", "healthy_deadline": "1m", "healthy_threshold": 2, "unhealthy_threshold": 3, "start_period": "10s"}`,
			rollout.HealthCheck{Interval: 2 * time.Second, Timeout: 3 * time.Second, HealthyDeadline: time.Minute, HealthyThreshold: 2, UnhealthyThreshold: 3, StartPeriod: 10 * time.Second}},
		"HTTP": {`"health_check": {"http": {"scheme": "https", "host": "::1", "port": 8443, "path": "/up", "method": "POST", "headers": {"Host": "shop"}, "statuses": ["200-204", "301"], "body_matches": "^ok", "tls": {"server_name": "shop", "ca": "PEM"}}}`,
			rollout.HealthCheck{Probe: deployer.Probe{HTTP: &deployer.HTTPProbe{
				Scheme: "https", Host: "::1", Port: 8443, Path: "/up", Method: "POST", Headers: map[string]string{"Host": "shop"},
				Statuses: []deployer.StatusRange{{From: 200, To: 204}, {From: 301, To: 301}}, BodyMatches: "^ok", TLS: &deployer.ProbeTLS{ServerName: "shop", CA: "PEM"},
			}}}},
		"TCP": {`"health_check": {"tcp": {"host": "a", "port": 5432}}`, rollout.HealthCheck{Probe: deployer.Probe{TCP: &deployer.TCPProbe{Host: "a", Port: 5432}}}},
		"gRPC": {`"health_check": {"grpc": {"host": "a", "port": 50051, "service": "shop", "secure": true, "tls": {"server_name": "shop"}}}`,
			rollout.HealthCheck{Probe: deployer.Probe{GRPC: &deployer.GRPCProbe{Host: "a", Port: 50051, Service: "shop", Secure: true, TLS: &deployer.ProbeTLS{ServerName: "shop"}}}}},
		"command": {`"health_check": {"command": {"command": "true"}}`, rollout.HealthCheck{Probe: deployer.Probe{Command: &deployer.CommandProbe{Command: "true"}}}},
	} {
		if got := specOf(t, c.config).Health; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestOtherSettingsAreTranslated(t *testing.T) {
	t.Parallel()
	unset := specOf(t, ``)
	if unset.Revert != (rollout.Revert{Automatic: true}) || unset.Tasks != (rollout.Tasks{}) || unset.Hooks != (rollout.Hooks{}) || unset.Analyses != nil ||
		unset.LockTimeout != 10*time.Second || unset.Evidence != "" {
		t.Errorf("the defaults are %+v", unset)
	}
	set := specOf(t, `"lock_timeout": "0s", "evidence": "required",
		"revert": {"automatic": false, "on_cancel": true, "timeout": "5m", "retry_failed": false},
		"tasks": {"before": {"command": "migrate", "timeout": "1h"}, "after": {"command": "tell"}},
		"hooks": {"drain": {"command": "out"}, "undrain": {"command": "in", "timeout": "1m"}}`)
	if want := (rollout.Revert{OnCancel: true, Timeout: 5 * time.Minute, RefuseFailed: true}); set.Revert != want {
		t.Errorf("revert: %+v", set.Revert)
	}
	if want := (rollout.Tasks{Before: rollout.Command{Command: "migrate", Timeout: time.Hour}, After: rollout.Command{Command: "tell"}}); set.Tasks != want {
		t.Errorf("tasks: %+v", set.Tasks)
	}
	if want := (rollout.Hooks{Drain: rollout.Command{Command: "out"}, Undrain: rollout.Command{Command: "in", Timeout: time.Minute}}); set.Hooks != want {
		t.Errorf("hooks: %+v", set.Hooks)
	}
	if set.LockTimeout != 0 || set.Evidence != deployment.EvidenceRequired {
		t.Errorf("lock_timeout %s, evidence %q", set.LockTimeout, set.Evidence)
	}
}

func TestAnalysesAreTranslated(t *testing.T) {
	t.Parallel()
	got := specOf(t, `"analysis": [
		{"name": "errors", "interval": "5s", "count": 12, "failure_limit": 2, "success": "< 0.01", "failure": ">0.5", "no_data": "pass",
		 "prometheus": {"address": "http://prometheus:9090", "query": "sum(errors)", "headers": {"X-Scope": "a", "Authorization": "b"}, "headers_wo": {"Authorization": "c"}, "timeout": "3s"}},
		{"name": "users", "success": ">= 1", "no_data": "fail", "http": {"url": "https://stats/a?b=c", "pointer": "/users/0"}},
		{"name": "disk", "success": "== 0", "no_data": "fail", "command": {"command": "df", "timeout": "1s"}}]`).Analyses
	for n, c := range got {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if n == 0 && (c.Success.String() != "< 0.01" || c.Failure.String() != "> 0.5") || n == 1 && !c.Failure.IsZero() {
			t.Errorf("%s: success %s, failure %s", c.Name, c.Success, c.Failure)
		}
		got[n].Success, got[n].Failure = analysis.Condition{}, analysis.Condition{}
	}
	want := []analysis.Criterion{
		{Name: "errors", NoData: analysis.NoDataPasses, Count: 12, Interval: 5 * time.Second, FailureLimit: 2,
			Query: analysis.Prometheus{Address: "http://prometheus:9090", Expr: "sum(errors)", Headers: map[string]string{"X-Scope": "a", "Authorization": "c"}, Timeout: 3 * time.Second}},
		{Name: "users", NoData: analysis.NoDataFails, Count: 1, Interval: 10 * time.Second,
			Query: analysis.HTTP{URL: "https://stats/a?b=c", Pointer: "/users/0", Headers: map[string]string{}}},
		{Name: "disk", NoData: analysis.NoDataFails, Count: 1, Interval: 10 * time.Second,
			Query: analysis.Command{Argv: []string{"sh", "-c", "df"}, Timeout: time.Second}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Headers of analyses are hidden in messages like the application's secrets.
func TestHeadersAreSecrets(t *testing.T) {
	t.Parallel()
	m := modelOf(t, `"secrets_wo": {"TOKEN": "first-secret"}, "secrets_wo_version": 1, "analysis": [{"name": "a", "success": "< 1", "no_data": "fail", "http": {"url": "http://a", "headers": {"X": "second-secret"}, "headers_wo": {"X": "third-secret"}}}]`)
	redactor := NewRedactor()
	for _, secret := range stringMap(m.secrets(context.Background())) {
		redactor = redactor.With(secret)
	}
	if got := redactor.Redact("first-secret second-secret third-secret"); got != Redacted+" "+Redacted+" "+Redacted {
		t.Errorf("it is shown as %q", got)
	}
}

// None of these settings makes another revision, so a change of them alone
// touches no instance.
func TestSettingsAreNoPartOfARevision(t *testing.T) {
	t.Parallel()
	bare := deployment.RevisionID(specOf(t, ``), nil)
	for _, members := range []string{
		`"strategy": {"all_at_once": {}}`, `"health_check": {"tcp": {"port": 1}}`, `"revert": {"automatic": false}`,
		`"tasks": {"before": {"command": "a"}}`, `"hooks": {"drain": {"command": "a"}}`, `"lock_timeout": "1m"`, `"evidence": "off"`,
		`"analysis": [{"name": "a", "success": "< 1", "no_data": "fail", "command": {"command": "x"}}]`, `"on_destroy": "retain"`, `"timeouts": {"update": "1h"}`,
	} {
		if got := deployment.RevisionID(specOf(t, members), nil); got != bare {
			t.Errorf("%s makes revision %s of %s", members, got, bare)
		}
	}
	if deployment.RevisionID(specOf(t, `"environment_variables": {"A": "1"}`), nil) == bare {
		t.Error("variables make no other revision")
	}
}

// Values that are not known yet are left out, and nothing is said about them.
func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	if got := amountOr(types.StringUnknown(), rollout.Count(1)); got != rollout.Count(1) {
		t.Errorf("an unknown amount is %s", got)
	}
	m := deploymentModel{Analysis: types.ListUnknown(types.StringType)}
	if names := m.analysisNames(context.Background(), Diagnostics{}); !names.unknown {
		t.Errorf("the names of unknown analyses are %v", names)
	}
}
