// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package floors

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	root := testrig.Root(t)
	packages, err := List(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range Wrong(packages) {
		t.Error(wrong)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "design", "imports.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Draw(packages) {
		t.Error("docs/design/imports.md is out of date: run make generate")
	}
}

func TestWrongImportsAreFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, from, to string
		wrong          bool
	}{
		{"down", "internal/provider", "internal/release", false},
		{"down, floors skipped", "internal/provider", "internal/store", false},
		{"within a part", "plugins/sdk/wire", "plugins/sdk/deployer", false},
		{"to the SDK", "internal/rollout", "plugins/sdk/deployer", false},
		{"a plugin to the SDK", "plugins/ssh", "plugins/sdk", false},
		{"a plugin to what plugins share", "plugins/ssh", "plugins/internal/hostdeploy", false},
		{"up", "internal/store", "internal/release", true},
		{"sideways", "internal/release", "internal/deployment", true},
		{"sideways below", "internal/rollout", "internal/pluginhost", true},
		{"a plugin into the provider", "plugins/ssh", "internal/process", true},
		{"the provider into a plugin", "internal/pluginhost", "plugins/ssh", true},
		{"a plugin to another", "plugins/ssh", "plugins/local", true},
		{"the SDK to anything", "plugins/sdk", "internal/process", true},
		{"tools in the product", "internal/provider", "internal/testrig", true},
		{"no floor", "internal/unheard", "plugins/sdk", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := Wrong([]Package{{Path: test.from, Imports: []string{test.to}}})
			if want := test.from + " imports " + test.to; slices.Contains(got, want) != test.wrong {
				t.Errorf("found %q", got)
			}
		})
	}
}
