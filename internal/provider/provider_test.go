// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// What is wrong with the provider block is said by plan, at the attribute, and
// without the secrets that are in it.
func TestAccProviderMistakes(t *testing.T) {
	t.Parallel()
	plugin := func(name, more string) string {
		return fmt.Sprintf("plugin {\n name = %q\n path = \"./edge\"\n checksum = \"sha256:%s\"\n %s\n}\n", name, strings.Repeat("0", 64), more)
	}
	for name, c := range map[string]struct {
		block string
		says  []string
	}{
		"two logins":             {"registry {\n host = \"r.io\"\n username = \"a\"\n password = \"b\"\n}\nregistry {\n host = \"r.io\"\n username = \"a\"\n password = \"b\"\n}", []string{"registry[1].host: Given twice", `"r.io" has a block already`}},
		"no credentials":         {"git {\n host = \"git.acme.io\"\n}", []string{"git[0]: No credentials", "Set token"}},
		"a user alone":           {"git {\n host = \"git.acme.io\"\n username = \"me\"\n private_key = \"x\"\n}", []string{"git[0].username: A user without a token"}},
		"a URL as host":          {"git {\n host = \"https://git.acme.io\"\n token = \"x\"\n}", []string{"git[0].host: Not a server's name", "without a scheme"}},
		"a bundled name":         {plugin("ssh", ""), []string{"plugin[0].name: Not a valid name", `"ssh" is the name of a deployer that comes with the provider`}},
		"two of a name":          {plugin("edge", "") + plugin("edge", ""), []string{"plugin[1].name: Given twice"}},
		"no JSON":                {plugin("edge", `config_json = "region: eu"`), []string{"plugin[0].config_json: Not a JSON object", "jsonencode"}},
		"no kind of digest":      {strings.Replace(plugin("edge", ""), "sha256:", "", 1), []string{"plugin[0].checksum: Not a checksum", "The kind of checksum is missing"}},
		"another kind of digest": {strings.Replace(plugin("edge", ""), "sha256:", "md5:", 1), []string{"plugin[0].checksum: Not a checksum", "sha256sum"}},
		"no store":               {`store = "shop"`, []string{"store: Not a store"}},
		"a typo in ssh":          {"ssh {\n usr = \"deploy\"\n}", []string{"Unsupported argument", "usr"}},
		"a duration in ssh":      {"ssh {\n connect_timeout = \"soon\"\n}", []string{"ssh.connect_timeout: "}},
		"a bastion of none":      {"ssh {\n bastion {\n user = \"me\"\n}\n}", []string{"ssh.bastion.host: "}},
		"not there yet":          {"docker {\n name = \"prod\"\n}", []string{"Unsupported block type", "docker"}},
		"a port out of range":    {"ssh {\n port = 70000\n}", []string{"ssh.port: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: factories(t),
				Steps: []resource.TestStep{{
					Config:   "provider \"delivery\" {\n" + c.block + "\n}\n" + pipelineHCL(""),
					PlanOnly: true, ExpectError: saying(c.says...),
				}},
			})
		})
	}
}

// A provider block may depend on what the same apply makes. What needs no such
// value is planned; what does is unknown until the apply.
func TestAccProviderWithUnknownValues(t *testing.T) {
	t.Parallel()
	later := func(block, value string) string {
		return fmt.Sprintf("resource \"terraform_data\" \"later\" {\n input = %q\n}\nprovider \"delivery\" {\n%s\n}\n", value, block)
	}
	setUp := func(t *testing.T) (repo *testrig.GitRepo, first, store, release string) {
		repo = testrig.NewGitRepo(t)
		first = repo.Commit("First", map[string]string{"app.txt": "1"})
		return repo, first, filepath.Join(t.TempDir(), "store"), releaseHCL(repo.Dir, "", `ref = "main"`)
	}
	t.Run("store", func(t *testing.T) {
		t.Parallel()
		_, first, store, release := setUp(t)
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: factories(t),
			Steps: []resource.TestStep{
				{
					Config: later("store = terraform_data.later.output", store) + release,
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(unknown("digest"),
						planned("commit", knownvalue.StringExact(first)))},
					ConfigStateChecks: []statecheck.StateCheck{kept("digest", knownvalue.NotNull())},
				},
				{ // the value changes: nothing is known of the store, and the state stays
					Config: later("store = terraform_data.later.output", store+"2") + release,
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
						does(plancheck.ResourceActionNoop),
					}},
				},
			},
		})
	})
	t.Run("git", func(t *testing.T) {
		t.Parallel()
		repo, first, store, release := setUp(t)
		block := fmt.Sprintf("store = %q\ngit {\n host = \"git.acme.io\"\n token = terraform_data.later.output\n}", store)
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: factories(t),
			Steps: []resource.TestStep{
				{
					Config:            later(block, "token-1") + release,
					ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: unknown("commit", "version", "id", "digest")},
					ConfigStateChecks: []statecheck.StateCheck{kept("commit", knownvalue.StringExact(first))},
				},
				{ // Read returns the state as it is
					PreConfig: func() { repo.Commit("Second", map[string]string{"app.txt": "2"}) },
					Config:    later(block, "token-2") + release,
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
						does(plancheck.ResourceActionNoop),
					}},
					ExpectNonEmptyPlan: true,
				},
			},
		})
	})
}

// Values of the provider block may be ephemeral, and configuring connects to
// nothing: these hosts do not exist.
func TestAccProviderTakesEphemeralValues(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{{
			Config: `
variable "secret" {
  type      = string
  ephemeral = true
  default   = "s3cret-and-ephemeral"
}
provider "delivery" {
  store   = "registry.invalid/shop"
  secrets = { TOKEN = var.secret }
  ssh {
    user        = "deploy"
    private_key = var.secret
    passphrase  = var.secret
    bastion {
      host = "bastion.invalid"
    }
  }
  registry {
    host     = "registry.invalid"
    username = "ci"
    password = var.secret
  }
  git {
    host  = "git.invalid"
    token = var.secret
  }
}
` + pipelineHCL(""),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(pipelineAddress, at("id"), knownvalue.StringExact("shop")),
			},
		}},
	})
}
