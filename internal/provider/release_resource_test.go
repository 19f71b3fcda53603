// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

const releaseAddress = "delivery_release.shop"

// releaseHCL is a pipeline of a repository and a release of it.
func releaseHCL(url, stages, release string) string {
	return fmt.Sprintf(`
resource "delivery_pipeline" "shop" {
  name = "shop"
  source {
    git {
      url = %q
    }
  }
%s
}

resource "delivery_release" "shop" {
  pipeline = delivery_pipeline.shop.json
%s
}
`, url, stages, release)
}

// testStage is a stage that leaves a report of three tests, one skipped.
const testStage = `
  stage {
    name     = "test"
    commands = ["echo '<testsuite name=\"s\"><testcase name=\"a\"/><testcase name=\"b\"/><testcase name=\"c\"><skipped/></testcase></testsuite>' > report.xml"]
    reports {
      junit = ["report.xml"]
    }
  }`

// at is an attribute of the release.
func at(name string) tfjsonpath.Path { return tfjsonpath.New(name) }

func planned(name string, value knownvalue.Check) plancheck.PlanCheck {
	return plancheck.ExpectKnownValue(releaseAddress, at(name), value)
}

func unknown(names ...string) []plancheck.PlanCheck {
	var checks []plancheck.PlanCheck
	for _, name := range names {
		checks = append(checks, plancheck.ExpectUnknownValue(releaseAddress, at(name)))
	}
	return checks
}

func kept(name string, value knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(releaseAddress, at(name), value)
}

func does(action plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(releaseAddress, action)
}

func matches(pattern string) knownvalue.Check {
	return knownvalue.StringRegexp(regexp.MustCompile("^" + pattern + "$"))
}

func commit(sha, subject string) knownvalue.Check {
	return knownvalue.ObjectExact(map[string]knownvalue.Check{
		"sha": knownvalue.StringExact(sha), "author": knownvalue.NotNull(), "subject": knownvalue.StringExact(subject),
	})
}

// Commit, version, id and what is new are known at plan; a new commit is an
// update in place that makes one more release; without one there is nothing
// to do.
func TestAccReleaseFollowsItsBranch(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	first := repo.Commit("First", map[string]string{"app.txt": "1"})
	config := withStore(t, "") + releaseHCL(repo.Dir, testStage, `ref = "main"`)
	var second, third string
	otherDigest := statecheck.CompareValue(compare.ValuesDiffer())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: append(unknown("digest", "size", "checks", "created_at"),
						planned("commit", knownvalue.StringExact(first)),
						planned("version", matches(`0\.0\.0-1\.g`+first[:12]+`\.p[0-9a-f]{8}`)),
						planned("id", matches(`shop:0\.0\.0-1\.g`+first[:12]+`\.p[0-9a-f]{8}`)),
						planned("commits", knownvalue.ListExact([]knownvalue.Check{commit(first, "First")})),
					),
					PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				ConfigStateChecks: []statecheck.StateCheck{
					kept("digest", matches("sha256:[0-9a-f]{64}")),
					kept("size", knownvalue.NotNull()),
					kept("created_at", matches(`20\d\d-\d\d-\d\dT.*Z`)),
					kept("checks", knownvalue.MapExact(map[string]knownvalue.Check{"test": knownvalue.ObjectExact(map[string]knownvalue.Check{
						"status": knownvalue.StringExact("passed"), "tests": knownvalue.Int64Exact(3), "failures": knownvalue.Int64Exact(0),
						"skipped": knownvalue.Int64Exact(1), "duration": knownvalue.NotNull(),
					})})),
					otherDigest.AddStateValue(releaseAddress, at("digest")),
				},
			},
			{
				PreConfig: func() {
					second = repo.Commit("Second", map[string]string{"app.txt": "2"})
					third = repo.Commit("Third", map[string]string{"app.txt": "3"})
				},
				Config: config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(unknown("digest", "size", "checks", "created_at"),
					does(plancheck.ResourceActionUpdate),
					later{"commit", func() knownvalue.Check { return knownvalue.StringExact(third) }},
					later{"version", func() knownvalue.Check { return matches(`0\.0\.0-3\.g` + third[:12] + `\.p[0-9a-f]{8}`) }},
					later{"commits", func() knownvalue.Check {
						return knownvalue.ListExact([]knownvalue.Check{commit(third, "Third"), commit(second, "Second")})
					}},
				)},
				ConfigStateChecks: []statecheck.StateCheck{otherDigest.AddStateValue(releaseAddress, at("digest"))},
			},
		},
	})
}

// On a version tag the version is the tag's, after it the next one; another
// definition under a tagged version is refused; a given version belongs to one
// commit.
func TestAccReleaseVersions(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	repo.Commit("First", map[string]string{"app.txt": "1"})
	repo.Tag("v1.4.0")
	provider := withStore(t, "")
	stage := func(command string) string {
		return fmt.Sprintf("stage {\n name = \"test\"\n commands = [%q]\n}", command)
	}
	config := func(command, release string) string { return provider + releaseHCL(repo.Dir, stage(command), release) }
	var second string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config: config("true", `ref = "main"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planned("version", knownvalue.StringExact("1.4.0")), planned("id", knownvalue.StringExact("shop:1.4.0")),
				}},
			},
			{
				Config:      config("true && true", `ref = "main"`),
				ExpectError: saying("pipeline: The version is taken by another definition", "shop:1.4.0"),
			},
			{
				PreConfig: func() { second = repo.Commit("Second", map[string]string{"app.txt": "2"}) },
				Config:    config("true", `ref = "main"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					later{"version", func() knownvalue.Check { return matches(`1\.4\.1-1\.g` + second[:12] + `\.p[0-9a-f]{8}`) }},
				}},
			},
			{ // another definition of the same commit is another version
				Config: config("true && true", `ref = "main"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					does(plancheck.ResourceActionUpdate),
					later{"commit", func() knownvalue.Check { return knownvalue.StringExact(second) }},
					planned("commits", knownvalue.ListSizeExact(0)),
				}},
			},
			{
				Config: config("true", "ref = \"main\"\n version = \"2.0.0\""),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planned("id", knownvalue.StringExact("shop:2.0.0")),
				}},
			},
			{
				PreConfig:   func() { repo.Commit("Third", map[string]string{"app.txt": "3"}) },
				Config:      config("true", "ref = \"main\"\n version = \"2.0.0\""),
				ExpectError: saying("version: The version is taken by another commit", "set another version"),
			},
			{
				Config:      config("true", "ref = \"main\"\n version = \"v2\""),
				ExpectError: saying("version: Not a valid version", `"v2"`),
			},
			{ // an existing release of the same inputs is used again
				Config: config("true", `ref = "v1.4.0"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planned("id", knownvalue.StringExact("shop:1.4.0")),
				}},
			},
		},
	})
}

// What is wrong with a ref, a pipeline or a secret is said at plan, at the
// attribute.
func TestAccReleaseMistakes(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	repo.Commit("First", map[string]string{"app.txt": "1"})
	gone := filepath.Join(t.TempDir(), "gone")
	directory := fmt.Sprintf(`
resource "delivery_release" "shop" {
  pipeline = jsonencode({ name = "shop", source = { directory = { path = %q } } })
  ref      = "main"
}`, t.TempDir())
	for name, c := range map[string]struct {
		config string
		says   []string
	}{
		"no such ref":        {releaseHCL(repo.Dir, "", `ref = "mian"`), []string{`ref: There is no such ref`, `no branch or tag "mian"`, "main"}},
		"no ref":             {releaseHCL(repo.Dir, "", ""), []string{"ref: A ref is missing", `ref = "main"`}},
		"ref of a directory": {directory, []string{"ref: A ref is not possible here"}},
		"no repository":      {releaseHCL(gone, "", `ref = "main"`), []string{"pipeline: The source cannot be read", "gone"}},
		"no secret": {
			releaseHCL(repo.Dir, "stage {\n name = \"test\"\n commands = [\"true\"]\n secrets = [\"NPM_TOKEN\"]\n}", `ref = "main"`),
			[]string{"pipeline: A secret is missing", `"NPM_TOKEN"`},
		},
		"not a pipeline": {"resource \"delivery_release\" \"shop\" {\n pipeline = \"shop\"\n ref = \"main\"\n}", []string{"pipeline: Not a pipeline", "delivery_pipeline.<name>.json"}},
		"typo in a pipeline": {
			"resource \"delivery_release\" \"shop\" {\n pipeline = jsonencode({ name = \"shop\", sauce = {} })\n ref = \"main\"\n}",
			[]string{"pipeline: Not a pipeline", "sauce"},
		},
		"timeout": {releaseHCL(repo.Dir, "", "ref = \"main\"\n timeouts {\n create = \"soon\"\n}"), []string{"timeouts.create: Not a valid duration", `"soon" is not possible here`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: factories(t),
				Steps:                    []resource.TestStep{{Config: withStore(t, "") + c.config, PlanOnly: true, ExpectError: saying(c.says...)}},
			})
		})
	}
}

// A failed stage means no release: nothing in state at first, the state as it
// was later, and the difference again in the next plan.
func TestAccReleaseFails(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	repo.Commit("Bad", map[string]string{"check.sh": "echo the token is $TOKEN; echo wrong number of shoes; exit 3"})
	config := withStore(t, `secrets = { TOKEN = "s3cret-token" }`) +
		releaseHCL(repo.Dir, "stage {\n name = \"test\"\n commands = [\"sh check.sh\"]\n secrets = [\"TOKEN\"]\n}", `ref = "main"`)
	fails := saying("pipeline: A stage failed", `stage "test"`, "the token is [redacted]", "wrong number of shoes", "No release was made")
	var good string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{Config: config, ExpectError: fails},
			{
				PreConfig:         func() { good = repo.Commit("Good", map[string]string{"check.sh": "exit 0"}) },
				Config:            config,
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{does(plancheck.ResourceActionCreate)}},
				ConfigStateChecks: []statecheck.StateCheck{kept("digest", knownvalue.NotNull())},
			},
			{
				PreConfig:   func() { repo.Commit("Bad again", map[string]string{"check.sh": "echo $TOKEN; exit 4"}) },
				Config:      config,
				ExpectError: saying("pipeline: A stage failed"),
			},
			{
				RefreshState:       true,
				ExpectNonEmptyPlan: true,
				Check: func(s *terraform.State) error {
					if got := s.RootModule().Resources[releaseAddress].Primary.Attributes["commit"]; got != good {
						return fmt.Errorf("the state has commit %s, not the last good one", got)
					}
					return nil
				},
			},
		},
	})
}

// A change of timeouts alone makes no release; a pipeline that is not known
// yet leaves all of it unknown.
func TestAccReleasePlansOnlyWhatChanges(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	first := repo.Commit("First", map[string]string{"app.txt": "1"})
	provider := withStore(t, "")
	later := fmt.Sprintf(`
resource "terraform_data" "url" {
  input = %q
}
`, repo.Dir)
	config := func(release string) string {
		return provider + later + regexp.MustCompile(`url = "[^"]*"`).ReplaceAllString(releaseHCL(repo.Dir, "", release), "url = terraform_data.url.output")
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config:            config(`ref = "main"`),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: unknown("id", "version", "commit", "commits", "digest")},
				ConfigStateChecks: []statecheck.StateCheck{kept("commit", knownvalue.StringExact(first))},
			},
			{
				Config: config("ref = \"main\"\n timeouts {\n update = \"10m\"\n}"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					does(plancheck.ResourceActionUpdate),
					planned("digest", knownvalue.NotNull()), planned("created_at", knownvalue.NotNull()), planned("size", knownvalue.NotNull()),
				}},
			},
			{ // the same commit by its own name
				Config: config(fmt.Sprintf("ref = %q", first)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					does(plancheck.ResourceActionUpdate), planned("digest", knownvalue.NotNull()),
				}},
			},
		},
	})
}
