// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
)

func directory(t *testing.T) source.Directory {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"app.py": "print(1)", "pkg/mod.py": "x = 1", ".git/HEAD": "no", ".terraform/x": "no", ".delivery/x": "no",
		"terraform.tfstate": "no", "a.tfplan": "no", "tfplan": "no", "crash.log": "no", "pkg/x.tfstate.backup": "no",
	} {
		write(t, dir, name, content)
	}
	if err := os.Symlink("app.py", filepath.Join(dir, "main")); err != nil {
		t.Fatal(err)
	}
	return source.Directory{Path: dir}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func digest(t *testing.T, d source.Directory) string {
	t.Helper()
	sum, err := d.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestTheDigestOfADirectoryIsThatOfItsContent(t *testing.T) {
	t.Parallel()
	d := directory(t)
	// Pinned: it is a part of versions.
	const want = "sha256:72b3dbea2310c5e68f31a3a82016db60edfd79180d4ee22129ea17972f1a9cbc"
	if got := digest(t, d); got != want {
		t.Errorf("digest is %s", got)
	}
	if digest(t, directory(t)) != want {
		t.Error("the same content elsewhere has another digest")
	}
	for name, change := range map[string]func(dir string) error{
		"content":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "app.py"), []byte("print(2)"), 0o644) },
		"executable": func(dir string) error { return os.Chmod(filepath.Join(dir, "app.py"), 0o755) },
		"a new file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o644) },
		"a rename":   func(dir string) error { return os.Rename(filepath.Join(dir, "app.py"), filepath.Join(dir, "b.py")) },
		"a link": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "main")), os.Symlink("pkg", filepath.Join(dir, "main")))
		},
	} {
		d := directory(t)
		if err := change(d.Path); err != nil {
			t.Fatal(err)
		}
		if digest(t, d) == want {
			t.Errorf("%s did not change the digest", name)
		}
	}
	for name, change := range map[string]func(dir string) error{
		"state": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "terraform.tfstate"), []byte("{}"), 0o644)
		},
		"a plan": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "saved"), []byte("PK\x03\x04"+strings.Repeat("\x00", 22)+"\x06\x00\x00\x00tfplan"), 0o644)
		},
		"other mode": func(dir string) error { return os.Chmod(filepath.Join(dir, "app.py"), 0o600) },
		"empty dir":  func(dir string) error { return os.Mkdir(filepath.Join(dir, "empty"), 0o755) },
	} {
		d := directory(t)
		if err := change(d.Path); err != nil {
			t.Fatal(err)
		}
		if digest(t, d) != want {
			t.Errorf("%s changed the digest", name)
		}
	}
}

func TestACopyIsWhatWasPlanned(t *testing.T) {
	t.Parallel()
	d := directory(t)
	planned := digest(t, d)
	out := filepath.Join(t.TempDir(), "copy")
	if err := d.Copy(t.Context(), out, planned); err != nil {
		t.Fatal(err)
	}
	if got := files(t, out); len(got) != 3 || got["pkg/mod.py"] != "x = 1" || got["main"] != "print(1)" {
		t.Errorf("%v", got)
	}
	if digest(t, source.Directory{Path: out}) != planned {
		t.Error("the copy has another digest")
	}
	write(t, d.Path, "app.py", "print(2)")
	wantKind(t, d.Copy(t.Context(), t.TempDir(), planned), source.Changed, "changed since the plan")
	wantKind(t, d.Copy(t.Context(), out, ""), source.Failed, "not empty")
}

func TestDirectoriesThatCannotBeASource(t *testing.T) {
	t.Parallel()
	_, err := source.Directory{Path: "/no/such/place"}.Digest(t.Context())
	wantKind(t, err, source.NotFound, "no directory")
	d := directory(t)
	_, err = source.Directory{Path: filepath.Join(d.Path, "app.py")}.Digest(t.Context())
	wantKind(t, err, source.NotFound, "not a directory")
	if err := syscall.Mkfifo(filepath.Join(d.Path, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = d.Digest(t.Context())
	wantKind(t, err, source.Invalid, "neither a file")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := directory(t).Digest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
