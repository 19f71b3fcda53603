// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Imports writes docs/design/imports.md: the packages of this repository, their
// imports, and a drawing of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig/floors"
)

func main() {
	out := flag.String("o", "docs/design/imports.md", "file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "imports:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	packages, err := floors.List(context.Background(), ".")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, []byte(floors.Draw(packages)), 0o644); err != nil {
		return err
	}
	if wrong := floors.Wrong(packages); len(wrong) > 0 {
		return fmt.Errorf("these go up or sideways:\n%s", strings.Join(wrong, "\n"))
	}
	return nil
}
