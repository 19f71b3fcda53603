// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package floors

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// goList runs the go command's list and returns its lines.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = testrig.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

func TestEveryDependencyIsExplained(t *testing.T) {
	t.Parallel()
	imports := map[string]bool{}
	for _, path := range goList(t, "-f", `{{range .Imports}}{{.}} {{end}}{{range .TestImports}}{{.}} {{end}}{{range .XTestImports}}{{.}} {{end}}`, "./...") {
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
			imports[path] = true
		}
	}
	modules := map[string]bool{}
	for _, path := range goList(t, append([]string{"-f", `{{if .Module}}{{if not .Module.Main}}{{.Module.Path}}{{end}}{{end}}`}, slices.Sorted(maps.Keys(imports))...)...) {
		modules[path] = true
	}
	page, err := os.ReadFile(filepath.Join(testrig.Root(t), "docs", "design", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		explained[row[1]] = true
	}
	for module := range modules {
		if !explained[module] {
			t.Errorf("docs/design/dependencies.md does not say what %s is for", module)
		}
	}
	for module := range explained {
		if !modules[module] {
			t.Errorf("docs/design/dependencies.md explains %s, which nothing imports", module)
		}
	}
}
