// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig/dist"
)

// Plugins returns a directory with the deployer programs, built from this
// tree, or $DELIVERY_PLUGIN_DIR when that is set.
func Plugins(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("DELIVERY_PLUGIN_DIR"); dir != "" {
		return dir
	}
	dir := filepath.Join(t.TempDir(), "plugins")
	build(t)
	copyPrograms(t, func(built string) { linkTree(t, filepath.Join(built, "plugins"), dir) })
	return dir
}

// Provider returns a directory with terraform-provider-delivery and, in
// plugins/, the deployer programs, as a release has them. It is the test's
// own, so a process of it is known by its path.
func Provider(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "provider")
	build(t)
	copyPrograms(t, func(built string) { linkTree(t, built, dir) })
	return dir
}

// Root is the directory of go.mod.
func Root(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

var (
	moduleRoot = sync.OnceValues(func() (string, error) {
		out, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			return "", fmt.Errorf("go env GOMOD: %w", err)
		}
		return filepath.Dir(strings.TrimSpace(string(out))), nil
	})
	buildOnce = sync.OnceValues(buildPrograms)
)

func build(t testing.TB) string {
	t.Helper()
	dir, err := buildOnce()
	if err != nil {
		t.Fatalf("build the provider and the deployers: %v", err)
	}
	return dir
}

// buildPrograms builds into one directory per work tree, which test processes
// share; a lock keeps them from building at the same time. The go command
// leaves alone what is up to date.
func buildPrograms() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := buildDirectory(root)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, locked(dir, func() error {
		return dist.Build(context.Background(), root, dir, dist.Platform{}, "")
	})
}

func buildDirectory(root string) string {
	sum := sha256.Sum256([]byte(root))
	return filepath.Join(os.TempDir(), fmt.Sprintf("tfdelivery-build-%d-%s", os.Getuid(), hex.EncodeToString(sum[:6])))
}

// copyPrograms lets use read the built programs while nobody replaces them.
func copyPrograms(t testing.TB, use func(dir string)) {
	t.Helper()
	dir := build(t)
	if err := locked(dir, func() error { use(dir); return nil }); err != nil {
		t.Fatal(err)
	}
}

// linkTree gives to the programs under from second names under to, or copies
// them where that is impossible. A rebuild makes new files, so these stay as
// they are.
func linkTree(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case strings.HasPrefix(entry.Name(), "."):
			return nil
		case os.Link(path, filepath.Join(to, name)) == nil:
			return nil
		default:
			return copyFile(path, filepath.Join(to, name))
		}
	})
	if err != nil {
		t.Fatalf("copy the built programs: %v", err)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
