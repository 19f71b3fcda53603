// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package dist

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Source is the provider's address in the public registry.
const Source = "registry.terraform.io/tfdelivery/delivery"

// Pack builds a release for a platform and packs it into dir, in a file named
// as the registry and filesystem mirrors want it. It returns the file's path.
// The zip holds what .goreleaser.yml puts into it.
func Pack(ctx context.Context, root, dir string, platform Platform, version string) (string, error) {
	if version == "" || platform.OS == "" || platform.Arch == "" {
		return "", errors.New("a release has a version, an operating system and an architecture")
	}
	programs, err := os.MkdirTemp("", "delivery-dist-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(programs)
	if err := Build(ctx, root, programs, platform, version); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, fmt.Sprintf("%s_%s_%s_%s.zip", ProviderName, version, platform.OS, platform.Arch))
	if err := writeZip(file, programs, filepath.Join(root, "LICENSE")); err != nil {
		return "", fmt.Errorf("pack %s: %w", file, err)
	}
	return file, nil
}

// Mirror packs into a filesystem mirror's directories under dir.
func Mirror(ctx context.Context, root, dir string, platform Platform, version string) (string, error) {
	return Pack(ctx, root, filepath.Join(dir, filepath.FromSlash(Source)), platform, version)
}

func writeZip(file, programs, license string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	pack := zip.NewWriter(out)
	if err := addFile(pack, license, "LICENSE", 0o644); err != nil {
		return err
	}
	err = filepath.WalkDir(programs, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(programs, path)
		if err != nil {
			return err
		}
		return addFile(pack, path, filepath.ToSlash(name), 0o755)
	})
	if err != nil {
		return err
	}
	return pack.Close()
}

func addFile(pack *zip.Writer, path, name string, mode fs.FileMode) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(mode)
	to, err := pack.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, in)
	return err
}
