// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Schema prints the provider's schema, as "terraform providers schema -json"
// does, for the tool that makes pages of it. It needs no network and no
// terraform init.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the provider's program")
	flag.Parse()
	if err := run(*bin); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func run(bin string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "delivery-schema-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "terraform.rc")
	// tfplugindocs looks for a provider in this namespace only.
	for path, content := range map[string]string{
		config:                        fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  dev_overrides {\n    \"hashicorp/delivery\" = %q\n  }\n}\n", bin),
		filepath.Join(dir, "main.tf"): "terraform {\n  required_providers {\n    delivery = { source = \"hashicorp/delivery\" }\n  }\n}\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command("terraform", "providers", "schema", "-json")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("terraform providers schema: %w", err)
	}
	return nil
}
