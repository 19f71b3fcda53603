// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

const customConfiguration = `
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

resource "delivery_pipeline" "notes" {
  name = "notes"
  source {
    directory {
      path = %q
    }
  }
  artifact {
    include = ["**"]
  }
}

resource "delivery_release" "notes" {
  pipeline = delivery_pipeline.notes.json
}

resource "delivery_deployment" "notes" {
  name        = "notes"
  environment = "test"
  release_id  = delivery_release.notes.id
  plugin {
    name   = "example"
    config = %s
  }
  strategy {
    rolling {
      min_healthy_time = "0s"
    }
  }
}

data "delivery_deployers" "all" {}

output "deployers" {
  value = { for d in data.delivery_deployers.all.deployers : d.name => d.source }
}
`

// somebodysPlugin builds the smallest deployer and returns its path and SHA-256.
func somebodysPlugin(t *testing.T) (path, sum string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "delivery-deployer-example")
	build := exec.Command("go", "build", "-o", path, "./plugins/sdk/internal/exampledeployer")
	build.Dir = testrig.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(program)
	return path, hex.EncodeToString(hash[:])
}

// Somebody's first deployer, with four methods, has everything of the engine:
// plans, updates, drift, removal.
func TestACustomDeployer(t *testing.T) {
	t.Parallel()
	tf := testrig.NewTerraform(t)
	path, sum := somebodysPlugin(t)
	source, target := t.TempDir(), t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(source, "note"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	config := fmt.Sprintf("{ directory = %q }", target)
	tf.Write("main.tf", fmt.Sprintf(customConfiguration, path, sum, source, config))
	tf.Apply()
	tf.NoChanges()
	if got := tf.ShowState().Outputs["deployers"].(map[string]any); got["example"] != "custom" || got["ssh"] != "bundled" || got["local"] != "bundled" {
		t.Errorf("the deployers found are %v", got)
	}
	first := instance(tf.Resource("delivery_deployment.notes"), "default")["release"]
	write("two")
	tf.Apply()
	if second := instance(tf.Resource("delivery_deployment.notes"), "default")["release"]; second == first {
		t.Errorf("after the update it still runs %v", second)
	}
	tf.NoChanges()
	if err := os.Remove(filepath.Join(target, "test-notes", "current.json")); err != nil {
		t.Fatal(err)
	}
	if change := tf.Planned("delivery_deployment.notes"); change.Does() != "update" {
		t.Errorf("the plan of a vanished deployment is %s", change.Does())
	}
	tf.Apply()
	tf.NoChanges()
	tf.Destroy()
	if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What is wrong with a custom deployer is said at plan, with what to do, and
// nothing is started that was not verified.
func TestTroubleWithCustomDeployers(t *testing.T) {
	t.Parallel()
	path, sum := somebodysPlugin(t)
	other := hex.EncodeToString(make([]byte, 32))
	script := filepath.Join(t.TempDir(), "delivery-deployer-script")
	text := []byte("#!/bin/sh\necho cannot find my library >&2\nexit 4\n")
	if err := os.WriteFile(script, text, 0o700); err != nil {
		t.Fatal(err)
	}
	scriptHash := sha256.Sum256(text)
	for name, c := range map[string]struct {
		path, sum, config string
		says              []string
	}{
		"wrong checksum":      {path, other, `{ directory = "/tmp/x" }`, []string{sum, other}},
		"missing":             {path + "-not", sum, `{ directory = "/tmp/x" }`, []string{path + "-not"}},
		"dies at start":       {script, hex.EncodeToString(scriptHash[:]), `{ directory = "/tmp/x" }`, []string{"cannot find my library"}},
		"a typo in config":    {path, sum, `{ directories = "/tmp/x" }`, []string{"plugin.config.directories"}},
		"a value too few":     {path, sum, `{}`, []string{"plugin.config", "directory"}},
		"a value of bad type": {path, sum, `{ directory = ["/tmp/x"] }`, []string{"plugin.config.directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tf := testrig.NewTerraform(t)
			source := t.TempDir()
			if err := os.WriteFile(filepath.Join(source, "note"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			tf.Write("main.tf", fmt.Sprintf(customConfiguration, c.path, c.sum, source, c.config))
			tf.PlanFails().MustSay(t, c.says...)
		})
	}
}

// Without its programs beside it the provider lists the places that it searched.
func TestABundledDeployerThatIsMissing(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	empty := t.TempDir()
	s.tf.Setenv("DELIVERY_PLUGIN_DIR", empty)
	if err := os.RemoveAll(filepath.Join(s.tf.Provider, "plugins")); err != nil {
		t.Fatal(err)
	}
	s.write()
	s.tf.PlanFails().MustSay(t, "delivery-deployer-ssh", empty, "plugins")
}
