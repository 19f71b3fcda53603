// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package dist_test

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig/dist"
)

const version = "9.8.7"

func deployers(t *testing.T) []string {
	t.Helper()
	found, err := dist.Deployers(t.Context(), testrig.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range found {
		names = append(names, d.Name)
	}
	return names
}

func TestEveryDeployerIsInTheReleaseConfiguration(t *testing.T) {
	t.Parallel()
	names := deployers(t)
	for _, want := range []string{"ssh", "local"} {
		if !slices.Contains(names, want) {
			t.Errorf("the deployers are %v, without %s", names, want)
		}
	}
	config, err := os.ReadFile(filepath.Join(testrig.Root(t), ".goreleaser.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, want := range []string{"main: ./plugins/" + name + "\n", "binary: plugins/delivery-deployer-" + name + "\n"} {
			if !strings.Contains(string(config), want) {
				t.Errorf(".goreleaser.yml has no %q", want)
			}
		}
	}
}

// TestAReleaseInstalls makes the zip of a release, puts it where a filesystem
// mirror has it, and uses it as a stranger would.
func TestAReleaseInstalls(t *testing.T) {
	t.Parallel()
	platform := dist.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	file, err := dist.Pack(t.Context(), testrig.Root(t), t.TempDir(), platform, version)
	if err != nil {
		t.Fatal(err)
	}
	mirror := t.TempDir()
	installed := filepath.Join(mirror, filepath.FromSlash(dist.Source), version, platform.OS+"_"+platform.Arch)
	names := unzip(t, file, installed)
	want := []string{"LICENSE", dist.ProviderName + "_v" + version + dist.Ending(platform.OS)}
	for _, name := range deployers(t) {
		want = append(want, "plugins/delivery-deployer-"+name+dist.Ending(platform.OS))
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the zip holds %v, want %v", names, want)
	}

	tf := testrig.NewTerraformFromMirror(t, mirror)
	tf.Write("main.tf", configuration)
	tf.Write("app/hello.txt", "hello\n")
	tf.Init().MustSay(t, "Installed tfdelivery/delivery v"+version)
	plan := tf.Plan()
	plan.MustSay(t, "delivery_deployment.hello", "hello:0.0.0-dir.")
	plan.MustNotSay(t, "Provider development overrides")

	deployer := filepath.Join(installed, "plugins", "delivery-deployer-local"+dist.Ending(platform.OS))
	if err := os.Chmod(deployer, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(deployer, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = program.WriteString("tampered with")
	program.Close()
	if err != nil {
		t.Fatal(err)
	}
	tf.PlanFails().MustSay(t, "does not match any of the checksums recorded in the dependency lock file")
}

const configuration = `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

resource "delivery_pipeline" "hello" {
  name = "hello"
  source {
    directory {
      path = "${path.module}/app"
    }
  }
}

resource "delivery_release" "hello" {
  pipeline = delivery_pipeline.hello.json
}

resource "delivery_deployment" "hello" {
  name        = "hello"
  environment = "test"
  release_id  = delivery_release.hello.id
  local {
    path = abspath("${path.module}/deployed")
  }
}
`

// unzip unpacks as Terraform does, keeping modes, and lists the files.
func unzip(t *testing.T, file, to string) []string {
	t.Helper()
	pack, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer pack.Close()
	var names []string
	for _, entry := range pack.File {
		names = append(names, entry.Name)
		path := filepath.Join(to, filepath.FromSlash(entry.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		in, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, entry.Mode())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
		out.Close()
	}
	slices.Sort(names)
	return names
}
