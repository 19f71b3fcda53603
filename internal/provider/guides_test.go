// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// Who searches the pages for what Terraform or the provider says, finds it.
func TestPagesExplainWhatSurprises(t *testing.T) {
	t.Parallel()
	for page, phrases := range map[string][]string{
		"guides/errors.md":        {"Provider produced inconsistent final plan", "the branch moved, or the directory changed", "fewer than 4 bytes"},
		"index.md":                {"a secret of fewer than 4 bytes is not hidden"},
		"resources/pipeline.md":   {"so not one that was signed"},
		"resources/deployment.md": {"the old one owns that place", "Both run side by side", "they want the same port", `on_destroy = "retain"`, "import the deployment"},
	} {
		content, err := os.ReadFile(filepath.Join(testrig.Root(t), "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(string(content)), " ")
		for _, phrase := range phrases {
			if !strings.Contains(text, phrase) {
				t.Errorf("%s does not say %q", page, phrase)
			}
		}
	}
}
