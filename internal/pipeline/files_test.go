// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A pattern of a stage does not find what no release holds.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"dist/app": "app", "dist/tfplan": "a plan", "dist/b/crash.log": "x", "dist/.git/HEAD": "x", "dist/c/tfplan/main.go": "x",
		"dist/saved": "PK\x03\x04" + strings.Repeat("\x00", 22) + "\x06\x00\x00\x00tfplan", "other": "x",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := find(t.Context(), dir, []string{"dist/"})
	if want := []string{"dist/app", "dist/c/tfplan/main.go"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
