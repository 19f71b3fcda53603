// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// settled is a deployment whose configuration needs nothing else to be checked.
const settled = `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

resource "delivery_deployment" "api" {
  name        = "api"
  environment = "production"
  release_id  = "shop:1.5.0"
  local {
    path = "/srv/api"
  }
  %s
}
`

// everySetting sets everything that says how a deployment is rolled out.
const everySetting = `
  lock_timeout = "1m"
  evidence     = "required"
  health_check {
    interval            = "1s"
    timeout             = "2s"
    healthy_deadline    = "3m"
    healthy_threshold   = 2
    unhealthy_threshold = 5
    start_period        = "10s"
    http {
      scheme       = "https"
      host         = "localhost"
      port         = 8443
      path         = "/up?deep=1"
      method       = "POST"
      headers      = { Host = "api.acme.io" }
      statuses     = ["200-299", "301"]
      body_matches = "^ok"
      tls {
        server_name = "api.acme.io"
      }
    }
  }
  revert {
    automatic    = true
    on_cancel    = true
    timeout      = "10m"
    retry_failed = false
  }
  tasks {
    before {
      command = "./migrate up"
      timeout = "20m"
    }
    after {
      command = "./tell"
    }
  }
  hooks {
    drain {
      command = "./drain"
    }
    undrain {
      command = "./undrain"
      timeout = "30s"
    }
  }
  analysis {
    name          = "errors"
    interval      = "10s"
    count         = 6
    failure_limit = 1
    success       = "< 0.01"
    failure       = "> 0.5"
    no_data       = "pass"
    prometheus {
      address    = "http://prometheus:9090"
      query      = "sum(rate(errors[1m]))"
      headers    = { X-Scope-OrgID = "shop" }
      headers_wo = { Authorization = "Bearer s3cret" }
      timeout    = "5s"
    }
  }
  analysis {
    name    = "orders"
    success = ">= 1"
    no_data = "fail"
    http {
      url     = "https://stats.acme.io/orders"
      pointer = "/per_minute/0"
    }
  }
  analysis {
    name    = "disk"
    success = "== 0"
    no_data = "fail"
    command {
      command = "./disk"
    }
  }
`

// Every strategy and setting is taken, numbers where they are meant as numbers.
func TestEverySettingIsValid(t *testing.T) {
	t.Parallel()
	tf := testrig.NewTerraform(t)
	for _, strategy := range []string{
		"rolling {}",
		"rolling {\n max_parallel = 2\n}",
		"rolling {\n max_parallel = \"25%\"\n max_failures = 1\n min_healthy_time = \"5s\"\n pause = \"10s\"\n order = [\"local\"]\n}",
		"canary {\n max_parallel = \"50%\"\n step {\n instances = 1\n pause = \"1m\"\n analysis = [\"errors\", \"disk\"]\n}\nstep {\n instances = \"30%\"\n analysis = []\n}\n}",
		"canary {\n step {\n weight = 10\n}\nstep {\n weight = 50\n pause = \"5m\"\n}\n}",
		"blue_green {\n min_healthy_time = \"5s\"\n keep_old = \"10m\"\n}",
		"all_at_once {\n min_healthy_time = \"5s\"\n}",
	} {
		tf.Write("main.tf", fmt.Sprintf(settled, "strategy {\n"+strategy+"\n}\n"+everySetting))
		if out := tf.Validate(); out.Err != nil {
			t.Errorf("%s:\n%s", strategy, out.Text())
		}
	}
}

// Rules 18 and 19: mistakes are found by terraform validate, and say which
// attribute, what is wrong and what to do.
func TestMistakesInTheSettings(t *testing.T) {
	t.Parallel()
	strategy := func(block string) string { return "strategy {\n" + block + "\n}" }
	canary := func(steps string) string { return strategy("canary {\n" + steps + "\n}") }
	check := func(probe string) string { return "health_check {\n" + probe + "\n}" }
	http := func(more string) string { return check("http {\n port = 1\n" + more + "\n}") }
	analysis := func(more string) string {
		return "analysis {\n name = \"errors\"\n success = \"< 1\"\n no_data = \"fail\"\n" + more + "\n}"
	}
	const probe = "command {\n command = \"echo 0\"\n}"
	for name, c := range map[string]struct {
		config string
		says   []string
	}{
		"two strategies":      {strategy("rolling {}\nall_at_once {}"), []string{"strategy.rolling: More than one strategy", "keep one of the blocks all_at_once and rolling"}},
		"a typo":              {strategy("rolling {\n max_paralel = 1\n}"), []string{"max_paralel", `Did you mean "max_parallel"?`}},
		"a typo in a step":    {canary("step {\n instance = 1\n}"), []string{"instance", `"instances"`}},
		"a bad amount":        {strategy("rolling {\n max_parallel = \"150%\"\n}"), []string{"strategy.rolling.max_parallel: Not a number of instances", `"25%"`}},
		"no amount":           {strategy("rolling {\n max_parallel = 0\n}"), []string{"strategy.rolling.max_parallel", `"0"`}},
		"a name twice":        {strategy("rolling {\n order = [\"a\", \"a\"]\n}"), []string{"strategy.rolling.order[1]: Given twice"}},
		"steps of two kinds":  {canary("step {\n instances = 1\n}\nstep {\n weight = 10\n}"), []string{"strategy.canary.step[1].weight: Steps of two kinds"}},
		"a step too heavy":    {canary("step {\n weight = 101\n}"), []string{"step[0].weight", "100"}},
		"steps that shrink":   {canary("step {\n weight = 20\n}\nstep {\n weight = 10\n}"), []string{"strategy.canary.step[1].weight: A step that goes no further"}},
		"an unknown analysis": {canary("step {\n weight = 20\n analysis = [\"latency\"]\n}") + "\n" + analysis(probe), []string{"step[0].analysis[0]: A name that nothing has", "there is errors"}},
		"a pause too long":    {canary("step {\n weight = 20\n pause = \"2h\"\n}"), []string{"timeouts.update: Less time than an update waits", "2h0m0s"}},
		"a bad status":        {http(`statuses = ["2xx"]`), []string{"health_check.http.statuses[0]: Not a range of statuses", `"200-299"`}},
		"a bad expression":    {http(`body_matches = "("`), []string{"health_check.http.body_matches: Not a regular expression", "RE2"}},
		"a bad header":        {http(`headers = { "Host:" = "a" }`), []string{`health_check.http.headers["Host:"]: Not the name of a header`}},
		"a bad method":        {http(`method = "get"`), []string{"method", `"GET"`}},
		"no certificates":     {http("scheme = \"https\"\n tls {\n server_name = \"a\"\n ca = \"ca.pem\"\n}"), []string{"health_check.http.tls.ca: No certificates", `file("ca.pem")`}},
		"no name to verify":   {http("scheme = \"https\"\n tls {\n}"), []string{"health_check.http.tls.server_name: A value is missing"}},
		"an empty command":    {"tasks {\n before {\n command = \"\"\n}\n}", []string{"tasks.before.command: An empty text"}},
		"no command":          {"hooks {\n drain {\n}\n}", []string{"hooks.drain.command: A value is missing"}},
		"a bad condition":     {analysis(probe + "\n failure = \"1 <\""), []string{"analysis[0].failure: Not a condition"}},
		"a bad pointer":       {analysis("http {\n url = \"http://a\"\n pointer = \"a.b\"\n}"), []string{"analysis[0].http.pointer: Not a JSON pointer"}},
		"a login in a URL":    {analysis("http {\n url = \"http://me:hunter2@a\"\n}"), []string{"analysis[0].http.url: Not a usable URL", "headers_wo"}},
		"silence":             {"analysis {\n name = \"a\"\n success = \"< 1\"\n" + probe + "\n}", []string{`"no_data" is required`}},
		"nothing to measure":  {analysis(""), []string{"analysis[0]: Nothing to measure"}},
		"evidence":            {`evidence = "maybe"`, []string{"evidence", `"best_effort"`}},
		"a lock":              {`lock_timeout = "-1s"`, []string{"lock_timeout: Not a valid duration"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tf := testrig.NewTerraform(t)
			tf.Write("main.tf", fmt.Sprintf(settled, c.config))
			out := tf.Validate()
			if out.Err == nil {
				t.Fatal("it is valid")
			}
			out.MustSay(t, c.says...)
		})
	}
}

const plannedConfiguration = `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

provider "delivery" {
  plugin {
    name     = "example"
    path     = %q
    checksum = "sha256:%s"
  }
}

variable "token" {
  type      = string
  ephemeral = true
  default   = "s3cret-and-ephemeral"
}

resource "delivery_deployment" "api" {
  name        = "api"
  environment = "production"
  release_id  = "shop:1.5.0"
  plugin {
    name   = "example"
    config = { directory = %q }
  }
  %s
}
`

// What this deployer cannot do, and names that no instance has, are refused at
// plan, at the attribute, with what to use instead.
func TestWhatADeployerCannotDo(t *testing.T) {
	t.Parallel()
	path, sum := somebodysPlugin(t)
	for name, c := range map[string]struct {
		config string
		says   []string
	}{
		"blue and green": {"strategy {\n blue_green {}\n}", []string{"strategy.blue_green: The deployer cannot do this", `"example"`, "Use rolling"}},
		"weight":         {"strategy {\n canary {\n step {\n weight = 10\n}\n}\n}", []string{"strategy.canary.step[0].weight: The deployer cannot do this", "Use instances instead"}},
		"a task":         {"tasks {\n before {\n command = \"a\"\n}\n}", []string{"tasks.before: The deployer cannot do this"}},
		"a hook":         {"hooks {\n drain {\n command = \"a\"\n}\n}", []string{"hooks.drain: The deployer cannot do this"}},
		"a command":      {"health_check {\n command {\n command = \"a\"\n}\n}", []string{"health_check.command: The deployer cannot do this"}},
		"a name":         {"strategy {\n rolling {\n order = [\"app-1\"]\n}\n}", []string{"strategy.rolling.order[0]: A name that nothing has", "there is default"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tf := testrig.NewTerraform(t)
			tf.Write("main.tf", fmt.Sprintf(plannedConfiguration, path, sum, t.TempDir(), c.config))
			tf.PlanFails().MustSay(t, c.says...)
		})
	}
}

// Secret headers of an analysis may be ephemeral, and no plan holds them.
func TestSecretHeadersAreInNoPlan(t *testing.T) {
	t.Parallel()
	path, sum := somebodysPlugin(t)
	tf := testrig.NewTerraform(t)
	tf.Write("main.tf", fmt.Sprintf(plannedConfiguration, path, sum, t.TempDir(), `
  analysis {
    name    = "errors"
    success = "< 1"
    no_data = "fail"
    http {
      url        = "http://stats.acme.io"
      headers    = { X-Scope-OrgID = "shop" }
      headers_wo = { Authorization = "Bearer ${var.token}" }
    }
  }`))
	tf.Plan().MustSay(t, "write-only attribute")
	planned := fmt.Sprint(tf.Planned("delivery_deployment.api").Change.After["analysis"])
	if strings.Contains(planned, "s3cret-and-ephemeral") || !strings.Contains(planned, "shop") {
		t.Errorf("the plan holds %s", planned)
	}
}

// Settings may depend on what the same apply makes: nothing is refused before
// it is known.
func TestSettingsThatAreKnownLater(t *testing.T) {
	t.Parallel()
	path, sum := somebodysPlugin(t)
	tf := testrig.NewTerraform(t)
	config := fmt.Sprintf(plannedConfiguration, path, sum, t.TempDir(), `
  lock_timeout = terraform_data.later.output
  evidence     = terraform_data.later.output
  strategy {
    canary {
      max_parallel = terraform_data.later.output
      order        = [terraform_data.later.output]
      dynamic "step" {
        for_each = terraform_data.list.output
        content {
          instances = step.value
          analysis  = ["errors"]
        }
      }
    }
  }
  health_check {
    unhealthy_threshold = terraform_data.later.output
    http {
      scheme   = terraform_data.later.output
      port     = terraform_data.later.output
      headers  = terraform_data.map.output
      statuses = terraform_data.list.output
      tls {
        server_name = terraform_data.later.output
      }
    }
  }
  dynamic "analysis" {
    for_each = terraform_data.list.output
    content {
      name    = analysis.value
      success = analysis.value
      no_data = analysis.value
    }
  }
  timeouts {
    update = terraform_data.later.output
  }`)
	for name, value := range map[string]string{"later": `"5"`, "list": `["5"]`, "map": `{ a = "5" }`} {
		config += fmt.Sprintf("\nresource \"terraform_data\" %q {\n input = %s\n}\n", name, value)
	}
	tf.Write("main.tf", config)
	if out := tf.Validate(); out.Err != nil {
		t.Fatal(out.Text())
	}
	if change := tf.Planned("delivery_deployment.api"); change.Does() != "create" {
		t.Errorf("the plan is %s", change.Does())
	}
}
