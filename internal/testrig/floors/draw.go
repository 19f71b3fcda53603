// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package floors

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Draw gives the page docs/design/imports.md: a drawing in Mermaid, and every
// package with its sentence and its imports. Tools are left out of the drawing;
// they may import what they test.
func Draw(packages []Package) string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("```mermaid\nflowchart TD\n")
	edges := edgesOf(packages)
	present := partsOf(packages)
	drawFloors(&b, present)
	for _, from := range slices.SortedFunc(maps.Keys(edges), comparePaths) {
		for _, to := range slices.SortedFunc(maps.Keys(edges[from]), comparePaths) {
			fmt.Fprintf(&b, "  %s --> %s\n", box(from), box(to))
		}
	}
	if _, hosts := edges["internal/pluginhost"]; hosts {
		b.WriteString("  internal_pluginhost -. \"gRPC, other processes\" .-> plugins_ssh & plugins_local\n")
	}
	b.WriteString("```\n\n## Packages\n\n| package | for | imports |\n|---|---|---|\n")
	for _, p := range packages {
		imports := "–"
		if len(p.Imports) > 0 {
			imports = "`" + strings.Join(p.Imports, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Path, strings.ReplaceAll(p.Doc, "|", "\\|"), imports)
	}
	return b.String()
}

const introduction = "# Packages and their imports\n\n" +
	"Generated from `go list` by `go run ./internal/testrig/cmd/imports`, which `make generate` runs. A test fails when an\n" +
	"import goes up, sideways, or from a plugin into `internal/`, and when this page is out of date.\n\n"

func drawFloors(b *strings.Builder, present map[string]Part) {
	type group struct {
		zone  Zone
		floor int
		title string
	}
	var groups []group
	for floor := 4; floor >= 0; floor-- {
		groups = append(groups, group{Provider, floor, fmt.Sprintf("floor %d: %s", floor, Titles[floor])})
	}
	groups = append(groups,
		group{Plugins, 2, "deployers, programs of their own"},
		group{Plugins, 1, "what ssh and local share"},
		group{Plugins, 0, "what all that use SSH share"},
		group{SDK, -1, "the public SDK"},
	)
	for _, g := range groups {
		var boxes []string
		for _, path := range slices.SortedFunc(maps.Keys(present), comparePaths) {
			if part := present[path]; part.Zone == g.zone && part.Floor == g.floor {
				boxes = append(boxes, fmt.Sprintf("    %s[\"%s\"]\n", box(path), label(path)))
			}
		}
		if len(boxes) > 0 {
			fmt.Fprintf(b, "  subgraph %s_%d [\"%s\"]\n%s  end\n", g.zone, g.floor+1, g.title, strings.Join(boxes, ""))
		}
	}
}

// edgesOf gives the imports between parts, without those of tools.
func edgesOf(packages []Package) map[string]map[string]bool {
	edges := map[string]map[string]bool{}
	for _, p := range packages {
		from, known := Of(p.Path)
		if !known || from.Zone == Tools {
			continue
		}
		for _, imported := range p.Imports {
			to, known := Of(imported)
			if !known || to.Path == from.Path {
				continue
			}
			if edges[from.Path] == nil {
				edges[from.Path] = map[string]bool{}
			}
			edges[from.Path][to.Path] = true
		}
	}
	return edges
}

func partsOf(packages []Package) map[string]Part {
	present := map[string]Part{}
	for _, p := range packages {
		if part, known := Of(p.Path); known && part.Zone != Tools {
			present[part.Path] = part
		}
	}
	return present
}

// comparePaths orders parts as the plan of the house does.
func comparePaths(a, b string) int {
	place := func(path string) int {
		return slices.IndexFunc(parts, func(p Part) bool { return p.Path == path })
	}
	return cmp.Compare(place(a), place(b))
}

func box(path string) string {
	if path == "." {
		return "main"
	}
	return strings.ReplaceAll(path, "/", "_")
}

func label(path string) string {
	if path == "." {
		return "main.go"
	}
	return strings.TrimPrefix(path, "internal/")
}
