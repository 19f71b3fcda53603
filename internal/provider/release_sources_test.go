// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// A directory has no commit; its version follows from its content.
func TestAccReleaseOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "app.txt"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	config := withStore(t, "") + fmt.Sprintf(`
resource "delivery_pipeline" "shop" {
  name = "shop"
  source {
    directory {
      path = %q
    }
  }
}

resource "delivery_release" "shop" {
  pipeline = delivery_pipeline.shop.json
}`, dir)
	versions := statecheck.CompareValue(compare.ValuesDiffer())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planned("commit", knownvalue.Null()), planned("commits", knownvalue.ListSizeExact(0)),
					planned("version", matches(`0\.0\.0-dir\.[0-9a-f]{12,}\.p[0-9a-f]{8}`)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{versions.AddStateValue(releaseAddress, at("version"))},
			},
			{
				PreConfig:         func() { write("2") },
				Config:            config,
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{does(plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: []statecheck.StateCheck{versions.AddStateValue(releaseAddress, at("version"))},
			},
		},
	})
}

// Something built elsewhere, by its URL and digest, is a release too; bytes of
// another digest are not.
func TestAccReleaseOfWhatWasBuiltElsewhere(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "app.txt", Mode: 0o644, Size: 1, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(archive.Bytes()) }))
	t.Cleanup(server.Close)
	provider := withStore(t, "")
	config := func(digest string) string {
		return provider + fmt.Sprintf(`
resource "delivery_pipeline" "shop" {
  name = "shop"
  artifact {
    url    = %q
    sha256 = %q
  }
}

resource "delivery_release" "shop" {
  pipeline = delivery_pipeline.shop.json
  version  = "3.0.0"
}`, server.URL+"/app.tar", digest)
	}
	sum := sha256.Sum256(archive.Bytes())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		Steps: []resource.TestStep{
			{Config: config(strings.Repeat("0", 64)), ExpectError: saying("pipeline: The artifact is another one")},
			{Config: config("none"), ExpectError: saying("artifact.sha256: Not a valid pipeline", "64 hexadecimal digits")},
			{
				Config: config(hex.EncodeToString(sum[:])),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planned("id", knownvalue.StringExact("shop:3.0.0")), planned("commit", knownvalue.Null()),
				}},
				ConfigStateChecks: []statecheck.StateCheck{kept("checks", knownvalue.MapSizeExact(0)), kept("digest", knownvalue.NotNull())},
			},
		},
	})
}
