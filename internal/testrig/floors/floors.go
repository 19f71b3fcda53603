// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package floors knows which package of this repository may import which. The
// packages stand on floors; imports go down, floors may be skipped, and nothing
// imports a neighbour. It draws the house from what the go command says of it.
package floors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// A Part is a package with those below it: one box of the drawing.
type Part struct {
	Path  string // relative to the module; "." is the program
	Floor int
	Zone  Zone
}

// Zone is one of the houses that a part belongs to.
type Zone string

// The zones. Only the SDK is visited from other zones.
const (
	Provider Zone = "provider"
	SDK      Zone = "sdk"
	Plugins  Zone = "plugins"
	Tools    Zone = "tools" // tests, benches and examples
)

// Titles of the provider's floors.
var Titles = map[int]string{
	4: "the program",
	3: "Terraform's face",
	2: "how releases come to be, and to run",
	1: "one job each",
	0: "what all of them use",
}

// parts is the plan of the house. The longest path wins.
var parts = []Part{
	{".", 4, Provider},
	{"internal/provider", 3, Provider},
	{"internal/release", 2, Provider},
	{"internal/deployment", 2, Provider},
	{"internal/source", 1, Provider},
	{"internal/archive", 1, Provider},
	{"internal/analysis", 1, Provider},
	{"internal/pipeline", 1, Provider},
	{"internal/store", 1, Provider},
	{"internal/rollout", 1, Provider},
	{"internal/pluginhost", 1, Provider},
	{"internal/fileset", 0, Provider},
	{"internal/lazyregexp", 0, Provider},
	{"internal/process", 0, Provider},
	{"internal/weburl", 0, Provider},
	{"plugins/sdk", -1, SDK},
	{"plugins/ssh", 2, Plugins},
	{"plugins/local", 2, Plugins},
	{"plugins/internal/hostdeploy", 1, Plugins},
	{"plugins/internal/sshconn", 0, Plugins},
	{"internal/testrig", 5, Tools},
	{"internal/bench", 6, Tools},
	{"examples", 6, Tools},
}

// A Package is what the go command says of one.
type Package struct {
	Path    string // relative to the module
	Doc     string // first sentence
	Imports []string
}

// List asks the go command for the packages of the module in dir, without
// their tests.
func List(ctx context.Context, dir string) ([]Package, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Doc,Imports,Module", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.String())
	}
	var found []Package
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var listed struct {
			ImportPath, Doc string
			Imports         []string
			Module          struct{ Path string }
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list printed: %w", err)
		}
		p := Package{Path: relative(listed.ImportPath, listed.Module.Path), Doc: listed.Doc}
		for _, imported := range listed.Imports {
			if imported == listed.Module.Path || strings.HasPrefix(imported, listed.Module.Path+"/") {
				p.Imports = append(p.Imports, relative(imported, listed.Module.Path))
			}
		}
		found = append(found, p)
	}
}

func relative(path, module string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// Of finds the part that a package belongs to.
func Of(path string) (Part, bool) {
	best, found := Part{}, false
	for _, part := range parts {
		if (path == part.Path || strings.HasPrefix(path, part.Path+"/")) && len(part.Path) >= len(best.Path) {
			best, found = part, true
		}
	}
	return best, found
}

// Wrong lists the imports that go up, sideways, or into another house.
func Wrong(packages []Package) []string {
	var wrong []string
	for _, p := range packages {
		from, known := Of(p.Path)
		if !known {
			wrong = append(wrong, p.Path+" stands on no floor: give it one in internal/testrig/floors")
			continue
		}
		for _, imported := range p.Imports {
			if to, known := Of(imported); known && !allowed(from, to) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s", p.Path, imported))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func allowed(from, to Part) bool {
	switch {
	case from.Path == to.Path:
		return true
	case from.Zone == Tools:
		return to.Zone != Tools || to.Floor < from.Floor
	case to.Zone == SDK:
		return from.Zone != SDK
	default:
		return from.Zone == to.Zone && to.Floor < from.Floor
	}
}
