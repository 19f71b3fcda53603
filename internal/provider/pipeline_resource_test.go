// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

const pipelineAddress = "delivery_pipeline.shop"

// pipelineHCL is a pipeline with a source, and whatever else is given.
func pipelineHCL(more string) string {
	return fmt.Sprintf(`resource "delivery_pipeline" "shop" {
  name = "shop"
  source {
    git {
      url = "https://git.acme.io/shop.git"
    }
  }
%s
}
`, more)
}

const twoStages = `
  stage {
    name     = "unit"
    commands = ["go test ./..."]
    timeout  = "10m"
    secrets  = ["NPM_TOKEN"]
    environment_variables = { A = "1" }
    reports {
      junit = ["report.xml"]
    }
  }
  stage {
    name      = "build"
    needs     = ["unit"]
    commands  = ["go build"]
    artifacts = ["bin/*"]
    retries   = 2
  }
  artifact {
    include = ["**"]
    exclude = ["tests/**"]
  }
`

// All that a pipeline computes is known at plan, normalized, and changes in
// place.
func TestAccPipelineIsAValue(t *testing.T) {
	t.Parallel()
	const normalized = `{"name":"shop","source":{"git":{"url":"https://git.acme.io/shop.git"}},"stages":[` +
		`{"name":"build","needs":["unit"],"commands":["go build"],"retries":2,"artifacts":["bin/*"]},` +
		`{"name":"unit","commands":["go test ./..."],"timeout":"10m","environment_variables":{"A":"1"},"secrets":["NPM_TOKEN"],"reports":{"junit":["report.xml"]}}],` +
		`"artifact":{"include":["**"],"exclude":["tests/**"]}}`
	same := []plancheck.PlanCheck{
		plancheck.ExpectKnownValue(pipelineAddress, tfjsonpath.New("json"), knownvalue.StringExact(normalized)),
		plancheck.ExpectKnownValue(pipelineAddress, tfjsonpath.New("id"), knownvalue.StringExact("shop")),
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config:           pipelineHCL(twoStages),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: same},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(pipelineAddress, tfjsonpath.New("json"), knownvalue.StringExact(normalized)),
				},
			},
			{ // another order of stages is the same pipeline
				Config: pipelineHCL(`
  stage {
    name      = "build"
    needs     = ["unit"]
    commands  = ["go build"]
    artifacts = ["bin/*"]
    retries   = 2
  }
  stage {
    name     = "unit"
    commands = ["go test ./..."]
    timeout  = "10m"
    secrets  = ["NPM_TOKEN"]
    environment_variables = { A = "1" }
    reports {
      junit = ["report.xml"]
    }
  }
  artifact {
    include = ["**"]
    exclude = ["tests/**"]
  }`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(same,
					plancheck.ExpectResourceAction(pipelineAddress, plancheck.ResourceActionUpdate))},
			},
		},
	})
}

// What depends on values that only an apply knows is unknown until then, and
// is checked then; everything else is checked at plan.
func TestAccPipelineWithUnknownValues(t *testing.T) {
	t.Parallel()
	config := func(value, more string) string {
		return fmt.Sprintf(`
resource "terraform_data" "later" {
  input = %q
}
%s`, value, pipelineHCL(`
  stage {
    name     = "unit"
    commands = ["true"]
    environment_variables = { A = terraform_data.later.output }
  }
`+more))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config:      config("x", "stage {\n name = \"build\"\n needs = [\"unti\"]\n commands = [\"true\"]\n}"),
				ExpectError: saying(`stage[1].needs: Not a valid pipeline`, `there is no stage "unti"`),
			},
			{
				Config: config("x", ""),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownValue(pipelineAddress, tfjsonpath.New("json")),
					plancheck.ExpectKnownValue(pipelineAddress, tfjsonpath.New("id"), knownvalue.StringExact("shop")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(pipelineAddress, tfjsonpath.New("json"), knownvalue.StringExact(
						`{"name":"shop","source":{"git":{"url":"https://git.acme.io/shop.git"}},"stages":[{"name":"unit","commands":["true"],"environment_variables":{"A":"x"}}]}`)),
				},
			},
			{ // whether a source is missing depends on the artifact's URL
				Config: "resource \"terraform_data\" \"later\" {\n input = \"http://127.0.0.1/app.tar\"\n}\n" +
					"resource \"delivery_pipeline\" \"shop\" {\n name = \"shop\"\n artifact {\n url = terraform_data.later.output\n sha256 = \"" + strings.Repeat("0", 64) + "\"\n}\n}\n",
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownValue(pipelineAddress, tfjsonpath.New("json")),
				}},
			},
			{
				Config: config("y", `
  dynamic "stage" {
    for_each = terraform_data.later.output == "y" ? ["more"] : []
    content {
      name     = stage.value
      needs    = ["unit"]
      commands = ["true"]
    }
  }`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownValue(pipelineAddress, tfjsonpath.New("json")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(pipelineAddress, tfjsonpath.New("stage"), knownvalue.ListSizeExact(2)),
				},
			},
		},
	})
}

// Each mistake is found by validate, at its attribute, in words that help.
func TestAccPipelineMistakes(t *testing.T) {
	t.Parallel()
	stage := func(name, more string) string {
		return fmt.Sprintf("stage {\n name = %q\n commands = [\"true\"]\n %s\n}\n", name, more)
	}
	for name, c := range map[string]struct {
		config string
		says   []string
	}{
		"circle": {
			pipelineHCL(stage("a", `needs = ["b"]`) + stage("b", `needs = ["c"]`) + stage("c", `needs = ["a"]`)),
			[]string{"stage[0].needs: Not a valid pipeline", "a → b → c → a"},
		},
		"unknown name": {
			pipelineHCL(stage("test", "") + stage("build", `needs = ["tset"]`)),
			[]string{"stage[1].needs: Not a valid pipeline", `there is no stage "tset"`},
		},
		"same name twice": {
			pipelineHCL(stage("test", "") + stage("build", "") + stage("test", "")),
			[]string{"stage[2].name: Not a valid pipeline", `two stages with the name "test"`},
		},
		"no command": {
			pipelineHCL("stage {\n name = \"test\"\n commands = []\n}"),
			[]string{"stage[0].commands: Not a valid pipeline", "at least one command"},
		},
		"duration": {
			pipelineHCL(stage("test", `timeout = "ten minutes"`)),
			[]string{"stage[0].timeout: Not a valid duration", `"ten minutes" is not possible here: write a duration such as "30s"`},
		},
		"variable": {
			pipelineHCL(stage("test", `environment_variables = { "NOT-A-NAME" = "1" }`)),
			[]string{`stage[0].environment_variables["NOT-A-NAME"]: Not a valid pipeline`},
		},
		"secret twice": {
			pipelineHCL(stage("test", `secrets = ["A", "B", "A"]`)),
			[]string{"stage[0].secrets[2]: Not a valid pipeline"},
		},
		"glob": {
			pipelineHCL(stage("test", "reports {\n junit = [\"[\"]\n}")),
			[]string{"stage[0].reports.junit[0]: Not a valid pipeline"},
		},
		"typo in a block": {
			pipelineHCL(stage("test", `time_out = "1m"`)),
			[]string{"Unsupported argument", "time_out"},
		},
		"credentials": {
			"resource \"delivery_pipeline\" \"shop\" {\n name = \"shop\"\n source {\n git {\n url = \"https://me:s3cret-pass@git.acme.io/shop.git\"\n}\n}\n}",
			[]string{"source.git.url: Not a repository", "contains credentials", "Credentials belong in the provider's git block"},
		},
		"an artifact in a file": {
			"resource \"delivery_pipeline\" \"shop\" {\n name = \"shop\"\n artifact {\n url = \"file:///srv/app.tar.gz\"\n sha256 = \"" + strings.Repeat("0", 64) + "\"\n}\n}",
			[]string{"artifact.url: Not a valid pipeline", "must begin with https:// or http://", "no other kind of URL is taken, such as file://"},
		},
		"two sources": {
			"resource \"delivery_pipeline\" \"shop\" {\n name = \"shop\"\n source {\n git {\n url = \"https://git.acme.io/shop.git\"\n}\n directory {\n path = \".\"\n}\n}\n}",
			[]string{"source: Not a valid pipeline", "either git or directory"},
		},
		"no source": {
			"resource \"delivery_pipeline\" \"shop\" {\n name = \"shop\"\n}",
			[]string{"source: Not a valid pipeline", "git or directory"},
		},
		"name": {
			"resource \"delivery_pipeline\" \"shop\" {\n name = \"Shop!\"\n source {\n directory {\n path = \".\"\n}\n}\n}",
			[]string{"name: Not a valid name", `"Shop!" cannot be the name of a pipeline`},
		},
		"later issue": {
			pipelineHCL("environment {\n name = \"production\"\n}"),
			[]string{"Unsupported block type", "environment"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: factories(t),
				Steps:                    []resource.TestStep{{Config: c.config, PlanOnly: true, ExpectError: saying(c.says...)}},
			})
		})
	}
}
