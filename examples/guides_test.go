// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package examples

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// read reads a file of the repository.
func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{testrig.Root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// snippets are the fenced pieces of a page in one language.
func snippets(page, language string) []string {
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		found = append(found, match[1])
	}
	return found
}

const requirement = "terraform {\n  required_providers {\n    delivery = { source = \"tfdelivery/delivery\" }\n  }\n}\n"

func TestSnippetsOfPagesAreValid(t *testing.T) {
	t.Parallel()
	provider := read(t, "examples", "provider", "provider.tf")
	pipeline := read(t, "examples", "resources", "delivery_pipeline", "resource.tf")
	release := read(t, "examples", "resources", "delivery_release", "resource.tf")
	started := strings.Join(snippets(read(t, "templates", "guides", "getting-started.md"), "terraform"), "\n")
	for name, configuration := range map[string]string{
		"resources":       provider + pipeline + release + read(t, "examples", "resources", "delivery_deployment", "resource.tf"),
		"data sources":    provider + read(t, "examples", "data-sources", "delivery_release", "data-source.tf") + read(t, "examples", "data-sources", "delivery_deployers", "data-source.tf") + read(t, "examples", "data-sources", "delivery_history", "data-source.tf"),
		"getting started": started,
		"local":           requirement + strings.Join(snippets(read(t, "tools", "pages", "local.md"), "terraform"), "\n") + pipeline + strings.Replace(release, `"shop"`, `"hello"`, 1),
		"ssh":             requirement + strings.Join(snippets(read(t, "tools", "pages", "ssh.md"), "terraform"), "\n") + pipeline + release,
		"continuous":      requirement + strings.Join(snippets(read(t, "templates", "guides", "continuous-delivery.md"), "terraform"), "\n") + pipeline,
		"rollouts":        requirement + strings.Join(snippets(read(t, "templates", "guides", "rollouts.md"), "terraform"), "\n") + pipeline + release,
		"readme":          strings.Join(snippets(read(t, "README.md"), "terraform"), "\n") + pipeline,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tf := testrig.NewTerraform(t)
			tf.Write("main.tf", configuration)
			if out := tf.Validate(); out.Err != nil {
				t.Errorf("%v\n%s\n%s", out.Err, out.Text(), configuration)
			}
		})
	}
}

// TestTheGuidesDeployerDeploys builds the deployer that the guide shows, word
// for word, and uses it.
func TestTheGuidesDeployerDeploys(t *testing.T) {
	t.Parallel()
	programs := snippets(read(t, "templates", "guides", "writing-a-deployer.md"), "go")
	if len(programs) != 1 {
		t.Fatalf("the guide shows %d programs", len(programs))
	}
	tf := testrig.NewTerraform(t)
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte(programs[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(tf.Dir, "delivery-deployer-note")
	build := exec.Command("go", "build", "-o", program, source)
	build.Dir = testrig.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	built, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(built)
	file := filepath.Join(t.TempDir(), "note.json")
	tf.Write("app/hello.txt", "hello\n")
	tf.Write("main.tf", requirement+fmt.Sprintf(`
provider "delivery" {
  plugin {
    name     = "note"
    path     = "./delivery-deployer-note"
    checksum = "sha256:%s"
  }
}

resource "delivery_pipeline" "shop" {
  name = "shop"
  source {
    directory {
      path = "${path.module}/app"
    }
  }
}

resource "delivery_release" "shop" {
  pipeline = delivery_pipeline.shop.json
}

resource "delivery_deployment" "shop" {
  name        = "shop"
  environment = "test"
  release_id  = delivery_release.shop.id
  plugin {
    name   = "note"
    config = { file = %q }
  }
}
`, hex.EncodeToString(sum[:]), file))
	tf.Apply()
	var noted struct {
		ReleaseID string `json:"release_id"`
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &noted); err != nil {
		t.Fatal(err)
	}
	if want := tf.Resource("delivery_release.shop")["id"]; noted.ReleaseID != want {
		t.Errorf("deployed is %q, want %q", noted.ReleaseID, want)
	}
	tf.NoChanges()
	tf.Destroy()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}
