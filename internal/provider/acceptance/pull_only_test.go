// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// pullOnlyConfiguration is a second runner's: it builds nothing and deploys the
// newest release that somebody else has pushed.
const pullOnlyConfiguration = `
terraform {
  required_providers {
    delivery = { source = "tfdelivery/delivery" }
  }
}

provider "delivery" {
  store = "{{.Store}}"
  {{.SSH}}
}

data "delivery_release" "shop" {
  pipeline = "shop"
}

resource "delivery_deployment" "copy" {
  name        = "copy"
  environment = "staging"
  release_id  = data.delivery_release.shop.id
  ssh {
    hosts = {{.Hosts}}
    path  = "/srv/copy"
    service {
      command      = "exec python3 app.py"
      stop_timeout = "2s"
    }
  }
  strategy {
    rolling {}
  }
  {{.Health}}
}
`

// A registry as the store: a runner that may only pull deploys the releases
// that are there, under a name of its own; a release that it would have to make
// is refused at the release, with the registry's reason, before any host is
// touched.
func TestARunnerThatMayOnlyPull(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	s := newShop(t, 2)
	pushing, pulling := s.fleet.Hosts[0], s.fleet.Hosts[1]
	store := registry.Host + "/apps"
	s.Provider = `store = "` + store + `"`
	s.Hosts = s.fleet.HostsHCL(pushing)
	s.write()
	s.tf.Apply()
	s.answers("v1", pushing)
	released := s.releaseID()

	registry.SetPullOnly(true)
	other := s.tf.Sibling()
	other.Write("main.tf", strings.NewReplacer(
		"{{.Store}}", store, "{{.SSH}}", s.fleet.HCL(), "{{.Hosts}}", s.fleet.HostsHCL(pulling), "{{.Health}}", healthCheck,
	).Replace(pullOnlyConfiguration))
	other.Apply()
	s.answers("v1", pulling)
	values := other.Resource("delivery_deployment.copy")
	if got := instance(values, pulling.Name); values["running_release_id"] != released || got["release"] != released || got["health"] != "healthy" {
		t.Errorf("the second runner's state says %v runs, on its host %v; want %s", values["running_release_id"], got, released)
	}
	other.NoChanges()

	s.tf.NoChanges()
	before := s.pids()
	s.commit("v2")
	out := s.tf.ApplyFails()
	out.MustSay(t, "delivery_release.shop", "pipeline: ", "cannot write to the store", registry.Host, "403", "denied")
	s.answers("v1")
	if s.pids() != before {
		t.Error("the refused release restarted a service")
	}
	if got := s.releaseID(); got != released {
		t.Errorf("the refused release %s is in the state", got)
	}
	s.runs(released, pushing.Name)
	other.NoChanges()

	registry.SetPullOnly(false)
	s.tf.Apply()
	s.answers("v2", pushing)
	s.answers("v1", pulling)
	other.Apply()
	s.answers("v2", pulling)
	other.Destroy()
	s.answers("", pulling)
	s.answers("v2", pushing)
}
