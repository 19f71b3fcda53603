// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package dist knows what a release of the provider consists of: the provider
// and, in plugins/ beside it, every deployer of this repository. It builds them
// and packs them into the zip that Terraform installs, the same way for
// developers, tests and releases.
package dist

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// Names of programs and the directory for deployers.
const (
	ProviderName   = "terraform-provider-delivery"
	DeployerPrefix = "delivery-deployer-"
	PluginDir      = "plugins"
)

// A Deployer is one deployer program of this repository.
type Deployer struct {
	Name    string // such as "ssh"
	Package string // import path of its main package
}

// Deployers finds the main packages plugins/<name>, or deeper ones that are
// named delivery-deployer-<name>. plugins/sdk is left out.
func Deployers(ctx context.Context, root string) ([]Deployer, error) {
	out, err := run(ctx, root, nil, "go", "list", "-find", "-f", `{{if eq .Name "main"}}{{.Module.Path}} {{.ImportPath}}{{end}}`, "./plugins/...")
	if err != nil {
		return nil, err
	}
	var found []Deployer
	for line := range strings.Lines(out) {
		module, imported, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		inside := strings.TrimPrefix(imported, module+"/"+PluginDir+"/")
		base := path.Base(inside)
		name, prefixed := strings.CutPrefix(base, DeployerPrefix)
		if strings.HasPrefix(inside, "sdk/") || !prefixed && strings.Contains(inside, "/") {
			continue
		}
		found = append(found, Deployer{Name: name, Package: imported})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

// Platform is what a program is built for; "" is this machine's.
type Platform struct{ OS, Arch string }

// Build puts the programs into dir. Those that are up to date are left alone.
// With a version they tell it, and are small and reproducible, as a release
// wants them.
func Build(ctx context.Context, root, dir string, platform Platform, version string) error {
	deployers, err := Deployers(ctx, root)
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, PluginDir), 0o755); err != nil {
		return err
	}
	env := []string{"CGO_ENABLED=0"}
	if platform.OS != "" {
		env = append(env, "GOOS="+platform.OS, "GOARCH="+platform.Arch)
	}
	arguments := []string{"build", "-buildvcs=false"}
	if version != "" {
		arguments = append(arguments, "-trimpath", "-ldflags=-s -w -X main.version="+version)
	}
	ending := Ending(platform.OS)
	provider := ProviderName
	if version != "" {
		provider += "_v" + version
	}
	if err := goBuild(ctx, root, env, arguments, filepath.Join(dir, provider+ending), "."); err != nil {
		return err
	}
	for _, d := range deployers {
		if err := goBuild(ctx, root, env, arguments, filepath.Join(dir, PluginDir, DeployerPrefix+d.Name+ending), d.Package); err != nil {
			return err
		}
	}
	return nil
}

// Ending is how programs' names end on an operating system.
func Ending(goos string) string {
	if goos == "windows" {
		return ".exe"
	}
	return ""
}

func goBuild(ctx context.Context, root string, env, arguments []string, to, pkg string) error {
	_, err := run(ctx, root, env, "go", append(arguments[:len(arguments):len(arguments)], "-o", to, pkg)...)
	return err
}

func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
