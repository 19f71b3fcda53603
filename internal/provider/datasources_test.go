// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// A release is found by its version, or the newest; what is not there is said
// with what is.
func TestAccReleaseDataSource(t *testing.T) {
	t.Parallel()
	const address = "data.delivery_release.found"
	repo := testrig.NewGitRepo(t)
	first := repo.Commit("First", map[string]string{"app.txt": "1"})
	repo.Tag("v1.9.0")
	store := filepath.Join(t.TempDir(), "store")
	made := providerBlock(store, "") + releaseHCL(repo.Dir, testStage, `ref = "main"`)
	find := func(pipeline, more string) string {
		return fmt.Sprintf("data \"delivery_release\" \"found\" {\n pipeline = %q\n %s\n depends_on = [delivery_release.shop]\n}\n", pipeline, more)
	}
	same := statecheck.CompareValue(compare.ValuesSame())
	found := func(name string, value knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New(name), value)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config: made + find("shop", ""),
				ConfigStateChecks: []statecheck.StateCheck{
					found("id", knownvalue.StringExact("shop:1.9.0")), found("version", knownvalue.StringExact("1.9.0")),
					found("commit", knownvalue.StringExact(first)), found("ref", knownvalue.StringExact("main")),
					found("created_at", knownvalue.NotNull()), found("size", knownvalue.NotNull()),
					found("checks", knownvalue.MapPartial(map[string]knownvalue.Check{"test": knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"status": knownvalue.StringExact("passed"), "tests": knownvalue.Int64Exact(3),
					})})),
					same.AddStateValue(releaseAddress, at("digest")), same.AddStateValue(address, tfjsonpath.New("digest")),
				},
			},
			{
				PreConfig: func() {
					repo.Commit("Second", map[string]string{"app.txt": "2"})
					repo.Tag("v1.10.0")
				},
				Config:            made + find("shop", ""),
				ConfigStateChecks: []statecheck.StateCheck{found("version", knownvalue.StringExact("1.10.0"))},
			},
			{
				Config:            made + find("shop", `version = "1.9.0"`),
				ConfigStateChecks: []statecheck.StateCheck{found("commit", knownvalue.StringExact(first))},
			},
			{Config: made + find("shop", `version = "7.0.0"`), ExpectError: saying("version: There is no such release", "7.0.0", "1.10.0, 1.9.0")},
			{Config: made + find("shop", `version = "seven"`), ExpectError: saying("version: Not a valid version")},
			{Config: made + find("shoes", ""), ExpectError: saying("pipeline: There is no such release", `no release of the pipeline "shoes"`)},
			{Config: made},
		},
	})
}

// The deployers that come with the provider are found with their versions and
// capabilities; a custom one that cannot be used says why, and stops nobody.
func TestAccDeployersDataSource(t *testing.T) {
	plugins := testrig.Plugins(t)
	t.Setenv(pluginhost.DirectoryVariable, plugins)
	const address = "data.delivery_deployers.all"
	other := filepath.Join(t.TempDir(), "delivery-deployer-edge")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := func(checksum string) string {
		return withStore(t, fmt.Sprintf("plugin {\n name = \"edge\"\n path = %q\n checksum = %q\n config_json = jsonencode({ token = \"s3cret-of-edge\" })\n}", other, checksum)) +
			"data \"delivery_deployers\" \"all\" {}\n"
	}
	bundledOne := func(name string) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"name": knownvalue.StringExact(name), "source": knownvalue.StringExact("bundled"), "error": knownvalue.Null(),
			"version": knownvalue.NotNull(), "path": knownvalue.StringExact(filepath.Join(plugins, "delivery-deployer-"+name)),
			"capabilities":   knownvalue.ListPartial(map[int]knownvalue.Check{0: knownvalue.StringExact("atomic")}),
			"artifact_kinds": knownvalue.ListSizeExact(1),
		})
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config: config("sha256:" + strings.Repeat("0", 64)),
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("deployers"), knownvalue.ListExact([]knownvalue.Check{
					knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"name": knownvalue.StringExact("edge"), "source": knownvalue.StringExact("custom"), "version": knownvalue.Null(),
						"error": knownvalue.StringRegexp(saying("checksum")),
					}),
					bundledOne("local"), bundledOne("ssh"),
				}))},
			},
		},
	})
}
