// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// A release is imported from the store; the next apply fills in the pipeline
// and builds nothing.
func TestAccReleaseImport(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	first := repo.Commit("First", map[string]string{"app.txt": "1"})
	repo.Tag("v1.0.0")
	store := filepath.Join(t.TempDir(), "store")
	config := providerBlock(store, "") + releaseHCL(repo.Dir, testStage, `ref = "main"`)
	digests := statecheck.CompareValue(compare.ValuesSame())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{Config: config, ConfigStateChecks: []statecheck.StateCheck{digests.AddStateValue(releaseAddress, at("digest"))}},
			{
				Config: config, ResourceName: releaseAddress, ImportState: true, ImportStateId: "shop:1.0.0",
				ImportStateVerify: true, ImportStateVerifyIgnore: []string{"pipeline", "commits", "timeouts"},
			},
			{Config: config, ResourceName: releaseAddress, ImportState: true, ImportStateId: "shop:9.9.9", ExpectError: saying("id: There is no such release", "It has 1.0.0")},
			{Config: config, ResourceName: releaseAddress, ImportState: true, ImportStateId: "shop", ExpectError: saying("id: The release cannot be imported", "<pipeline>:<version>")},
		},
	})
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{{
			Config: config + "import {\n to = delivery_release.shop\n id = \"shop:1.0.0\"\n}\n",
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				does(plancheck.ResourceActionUpdate),
				planned("commit", knownvalue.StringExact(first)), planned("digest", knownvalue.NotNull()),
			}},
			ConfigStateChecks: []statecheck.StateCheck{digests.AddStateValue(releaseAddress, at("digest"))},
		}},
	})
}
