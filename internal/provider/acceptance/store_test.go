// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// Rule 16: a runner that starts with an empty store keeps the release in the
// state, and a deployment that needs its bytes has it made again, the same.
func TestAReleaseThatTheStoreHasLost(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Hosts = s.fleet.HostsHCL(s.fleet.Hosts[0])
	s.write()
	s.tf.Apply()
	digest := s.tf.Resource("delivery_release.shop")["digest"]
	if err := os.RemoveAll(filepath.Join(s.tf.Dir, ".delivery")); err != nil {
		t.Fatal(err)
	}
	s.tf.NoChanges()
	s.Hosts = s.fleet.HostsHCL()
	s.write()
	s.tf.Plan().MustSay(t, "is not in the store", "made again")
	s.tf.Apply()
	s.answers("v1")
	if got := s.tf.Resource("delivery_release.shop")["digest"]; got != digest {
		t.Errorf("the release was made again with digest %v, not %v", got, digest)
	}
	s.tf.NoChanges()
}

// A registry as the store: releases travel through it, and nothing of them is
// kept beside the configuration.
func TestARegistryAsTheStore(t *testing.T) {
	t.Parallel()
	registry := testrig.NewRegistry(t)
	s := newShop(t, 1)
	s.Provider = `store = "` + registry.Host + `/apps"`
	s.write()
	s.tf.Apply()
	s.answers("v1")
	if _, err := os.Stat(filepath.Join(s.tf.Dir, ".delivery")); !os.IsNotExist(err) {
		t.Errorf("with a registry as the store there is a local one too: %v", err)
	}
	s.tf.NoChanges()
	s.commit("v2")
	s.tf.Apply()
	s.answers("v2")
}

// What a pipeline reports as failed makes no release, names the failing test
// and touches no host.
func TestAFailedStageMeansNoRelease(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	before := s.releaseID()
	s.Stage = `["echo checking", "exit 7"]`
	s.write()
	s.tf.ApplyFails().MustSay(t, "test", "checking", "7", "delivery_release.shop")
	s.answers("v1")
	if after := s.releaseID(); after != before {
		t.Errorf("the failed stage made release %s", after)
	}
}
