// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// delivery is this tree's provider under real Terraform.
type delivery struct {
	tf    *testrig.Terraform
	store string // a layout directory
}

func newDelivery(r *rig) delivery {
	return delivery{tf: testrig.NewTerraform(r), store: filepath.Join(r.TempDir(), "store")}
}

func (d delivery) terraform(work, command string, arguments ...string) *exec.Cmd {
	cmd := exec.Command("terraform", append([]string{command, "-no-color", "-input=false"}, arguments...)...)
	cmd.Dir, cmd.Env = work, d.tf.Env
	return cmd
}

const releaseConfig = `terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

provider "delivery" {
  store = %q
}

resource "delivery_pipeline" "app" {
  name = %q
  source {
    directory {
      path = %q
    }
  }
}

resource "delivery_release" "app" {
  pipeline = delivery_pipeline.app.json
  version  = "1.0.0"
}
`

// release returns the command that makes a release of a directory, named
// <name>:1.0.0.
func (d delivery) release(work, name, source string) (*exec.Cmd, error) {
	err := writeNew(filepath.Join(work, "main.tf"), fmt.Appendf(nil, releaseConfig, d.store, name, source))
	return d.terraform(work, "apply", "-auto-approve"), err
}

const deploymentConfig = `terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

provider "delivery" {
  store = %q
  ssh {
    user             = %q
    private_key_file = %q
    known_hosts_file = %q
  }
}

resource "delivery_deployment" "app" {
  name        = "app"
  environment = "bench"
  release_id  = %q
  ssh {
    hosts = { %s }
    path  = %q
%s  }
  strategy {
    rolling {
      max_parallel     = %d
      min_healthy_time = "0s"
    }
  }
%s}
`

const (
	serviceConfig = `    service {
      command = "bin/serve"
    }
`
	healthConfig = `  health_check {
    interval = "1s"
    http {
      port = 8000
      path = "/"
    }
  }
`
)

// deployment writes the configuration of one deployment of a release. With a
// service it is one that runs and has a health check.
func (d delivery) deployment(t trial, release string, service bool) error {
	var addresses []string
	for _, h := range t.hosts.all {
		addresses = append(addresses, fmt.Sprintf("%s = %q", h.name, h.address()))
	}
	serves, checks := "", ""
	if service {
		serves, checks = serviceConfig, healthConfig
	}
	return writeNew(filepath.Join(t.work, "main.tf"), fmt.Appendf(nil, deploymentConfig, d.store,
		t.hosts.user, t.hosts.keyFile, t.hosts.knownHosts, release,
		strings.Join(addresses, ", "), t.dir, serves, len(t.hosts.all), checks))
}

// contender is this provider in the race.
func (d delivery) contender(release string) contender {
	return contender{name: oursName, version: "this tree", ready: func(t trial) (*exec.Cmd, func() error, error) {
		err := d.deployment(t, release, true)
		return d.terraform(t.work, "apply", "-auto-approve"), func() error { return d.destroy(t.work) }, err
	}}
}

// destroy takes a deployment away, if there is one.
func (d delivery) destroy(work string) error {
	if _, err := os.Stat(filepath.Join(work, "terraform.tfstate")); os.IsNotExist(err) {
		return nil
	}
	out, err := d.terraform(work, "destroy", "-auto-approve").CombinedOutput()
	if err != nil {
		return fmt.Errorf("terraform destroy: %w\n%s", err, lastLines(out))
	}
	return nil
}
