// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
)

// The embedded schemas are those of the programs. If not: make generate.
func TestBundledSchemasAreThoseOfTheDeployers(t *testing.T) {
	t.Parallel()
	plugins := testrig.Plugins(t)
	for name, known := range bundled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := exec.Command(filepath.Join(plugins, "delivery-deployer-"+name), "describe").Output()
			if err != nil {
				t.Fatal(err)
			}
			description, err := sdk.ParseDescription(text)
			if err != nil {
				t.Fatal(err)
			}
			if !known.match(description) {
				t.Errorf("schemas/%s.json is not what delivery-deployer-%s describes: run \"make generate\"", name, name)
			}
		})
	}
}

// A deployer with one field more or less does not match.
func TestBundledSchemasMatchNothingElse(t *testing.T) {
	t.Parallel()
	for name, known := range bundled {
		text, err := os.ReadFile(filepath.Join("schemas", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		other, err := sdk.ParseDescription(bytes.Replace(text, []byte(`"keep_releases"`), []byte(`"keep_revisions"`), 1))
		if err != nil {
			t.Fatal(err)
		}
		if known.match(other) {
			t.Errorf("%s matches a deployer with other fields", name)
		}
		other.TargetSchema = nil
		if known.match(other) {
			t.Errorf("%s matches a deployer without a schema", name)
		}
	}
}
