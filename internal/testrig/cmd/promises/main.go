// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Promises writes docs/design/acceptance-tests.md: every test that runs real
// Terraform, with the promise that its comment says it proves.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

const page = "docs/design/acceptance-tests.md"

// directories have tests that run real Terraform; a prefix chooses among them.
var directories = []struct{ path, prefix, title string }{
	{"internal/provider/acceptance", "Test", "Deployments, on real hosts"},
	{"internal/provider", "TestAcc", "The provider block, pipelines and releases"},
	{"examples", "Test", "The examples"},
	{"internal/testrig/dist", "Test", "Installation"},
}

func main() {
	var b strings.Builder
	b.WriteString("# Acceptance tests\n\nWhat each test with real Terraform proves, in the words of its own comment. `make docs` writes this page.\n")
	for _, d := range directories {
		fmt.Fprintf(&b, "\n## %s (`%s`)\n\n| test | proves |\n|---|---|\n", d.title, d.path)
		if err := list(&b, d.path, d.prefix); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func list(b *strings.Builder, dir, prefix string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, prefix) || f.Name.Name == "TestMain" {
				continue
			}
			fmt.Fprintf(b, "| `%s` | %s |\n", f.Name.Name, proves(f))
		}
	}
	return nil
}

// proves is the comment in one line, or the name in words.
func proves(f *ast.FuncDecl) string {
	text := strings.Join(strings.Fields(f.Doc.Text()), " ")
	text = strings.TrimPrefix(text, f.Name.Name+": ")
	if text == "" {
		words := strings.TrimPrefix(strings.TrimPrefix(f.Name.Name, "TestAcc"), "Test")
		text = strings.Map(func(r rune) rune {
			if r == '_' {
				return ' '
			}
			return r
		}, words)
	}
	return strings.ReplaceAll(text, "|", "\\|")
}
