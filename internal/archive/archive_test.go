// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tfdelivery/terraform-provider-delivery/internal/archive"
)

// place writes files: a name that ends in * is executable, content that begins
// with -> is a symbolic link.
func place(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		mode := os.FileMode(0o600)
		if cut, ok := strings.CutSuffix(name, "*"); ok {
			name, mode = cut, 0o700
		}
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(target, full)
		} else {
			err = os.WriteFile(full, []byte(content), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var app = map[string]string{
	"run*":                   "#!/bin/sh\necho hello\n",
	"app/main.py":            "print('hello')\n",
	"app/static/ü.txt":       "umlaut\n",
	"app.txt":                "sorted after the directory\n",
	"current":                "->app/main.py",
	"app/up":                 "->../app.txt",
	"tests/test_main.py":     "assert True\n",
	".git/config":            "never",
	"sub/.git":               "gitdir: never",
	".terraform/providers":   "never",
	".delivery/store":        "never",
	"terraform.tfstate":      "never",
	"a.tfstate.backup":       "never",
	"saved.tfplan":           "never",
	"tfplan":                 "never",
	"saved":                  "PK\x03\x04" + strings.Repeat("\x00", 22) + "\x06\x00\x00\x00tfplan never",
	"sub/crash.1.log":        "never",
	"sub/deep/x":             "x",
	strings.Repeat("n", 150): "a long name",
}

func build(t *testing.T, root string, selection archive.Selection) ([]byte, archive.Summary) {
	t.Helper()
	var b bytes.Buffer
	summary, err := archive.Write(t.Context(), &b, root, selection)
	if err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != summary.Size {
		t.Errorf("summary says %d bytes, there are %d", summary.Size, b.Len())
	}
	return b.Bytes(), summary
}

func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if info.Mode()&os.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			found[name] = "->" + target
			return err
		}
		if info.Mode()&0o111 != 0 {
			name += "*"
		}
		data, err := os.ReadFile(path)
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnArchiveHoldsWhatWasSelectedAndNothingElse(t *testing.T) {
	t.Parallel()
	root, out := t.TempDir(), t.TempDir()
	place(t, root, app)
	data, summary := build(t, root, archive.Selection{Exclude: []string{"tests"}})
	if err := archive.Unpack(t.Context(), bytes.NewReader(data), out, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, content := range app {
		if !strings.HasSuffix(content, "never") && !strings.HasPrefix(name, "tests/") {
			want[name] = content
		}
	}
	got := tree(t, out)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if summary.Files != len(want) {
		t.Errorf("%d files are said to be in, %d are", summary.Files, len(want))
	}
	info, _ := os.Stat(filepath.Join(out, "app/main.py"))
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestIncludeTakesDirectoriesAndGlobs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	place(t, root, app)
	_, summary := build(t, root, archive.Selection{Include: []string{"app", "**/x"}})
	if summary.Files != 4 {
		t.Errorf("%d files, want 4", summary.Files)
	}
}

// The digests are pinned: whoever changes them changes the identity of every
// release. DiffID must never change; Digest changes only with the encoder.
func TestTheBytesAreTheSameEverywhere(t *testing.T) {
	root := t.TempDir()
	place(t, root, app)
	big := make([]byte, 3<<20)
	source := rand.NewChaCha8([32]byte{7})
	_, _ = source.Read(big[:1<<20]) // a third does not compress
	place(t, root, map[string]string{"big.bin": string(big)})
	const (
		digest = "sha256:4d727bc5cc7a2ec0d4cc5fd50ebcb815d7bdd067eb8d6e40f9b7927c4801fe76"
		diffID = "sha256:65f53db3b68d3c2961e729b1a09a8e384990d5a7edfd6cd0b86b9f803c93cda4"
	)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cpus := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(cpus)
		_, summary := build(t, root, archive.Selection{})
		if summary.Digest != digest || summary.DiffID != diffID {
			t.Errorf("with %d CPUs: digest %s, diff id %s", cpus, summary.Digest, summary.DiffID)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files     map[string]string
		selection archive.Selection
		say       string
	}{
		"a link out":                {map[string]string{"l": "->../x"}, archive.Selection{}, "leads outside"},
		"an absolute link":          {map[string]string{"l": "->/etc/passwd"}, archive.Selection{}, "leads outside"},
		"a link that goes up again": {map[string]string{"d/l": "->x/../../../y"}, archive.Selection{}, "leads outside"},
		"a bad pattern":             {nil, archive.Selection{Include: []string{"a[b"}}, "not a valid pattern"},
		"a pattern out":             {nil, archive.Selection{Exclude: []string{"../x"}}, "leads out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			place(t, root, c.files)
			_, err := archive.Write(t.Context(), io.Discard, root, c.selection)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("error is %v, want it to say %q", err, c.say)
			}
		})
	}
}

func TestWriteStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	place(t, root, app)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Write(ctx, io.Discard, root, archive.Selection{}); err == nil {
		t.Error("it did not stop")
	}
}

// pack makes an archive of any headers, good or bad.
func pack(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(encoder)
	for _, h := range headers {
		content := make([]byte, h.Size)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := encoder.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string, size int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	t.Parallel()
	small := archive.Limits{Bytes: 1000, Entries: 5, PathLength: 100}
	for name, c := range map[string]struct {
		data []byte
		say  string
	}{
		"a path out":               {pack(t, file("../evil", 1)), "plain relative path"},
		"an absolute path":         {pack(t, file("/evil", 1)), "plain relative path"},
		"a path that goes around":  {pack(t, file("a/../../evil", 1)), "plain relative path"},
		"a link out":               {pack(t, symlink("l", "../..")), "leads outside"},
		"a file through a link":    {pack(t, symlink("l", "d"), file("l/x", 1)), "exists"},
		"a file twice":             {pack(t, file("x", 1), file("x", 1)), "exists"},
		"a device":                 {pack(t, tar.Header{Typeflag: tar.TypeChar, Name: "null"}), "of a kind"},
		"a hard link":              {pack(t, tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "/etc/passwd"}), "of a kind"},
		"too many bytes":           {pack(t, file("a", 600), file("b", 600)), "more than 1000 bytes"},
		"too many entries":         {pack(t, file("a", 0), file("b", 0), file("c", 0), file("d", 0), file("e", 0), file("f", 0)), "more than 5 entries"},
		"a long path":              {pack(t, file(strings.Repeat("a", 101), 0)), "path of more than 100 bytes"},
		"a file that claims a lot": {pack(t, file("a", 1<<20)), "more than 1000 bytes"},
		"no archive":               {[]byte("hello"), "unpack"},
		"half an archive":          {pack(t, file("a", 500))[:30], "unpack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer := t.TempDir()
			err := archive.Unpack(t.Context(), bytes.NewReader(c.data), filepath.Join(outer, "in"), small)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("error is %v, want it to say %q", err, c.say)
			}
			for name := range tree(t, outer) {
				if !strings.HasPrefix(name, "in"+string(filepath.Separator)) {
					t.Errorf("%s was written outside", name)
				}
			}
		})
	}
}

func TestUnpackRefusesAFullDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place(t, dir, map[string]string{"x": "y"})
	if err := archive.Unpack(t.Context(), bytes.NewReader(pack(t)), dir, archive.Limits{}); err == nil {
		t.Error("it was accepted")
	}
}

// zeros is a reader of nothing, without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestABombIsDefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	encoder, _ := zstd.NewWriter(&b)
	if _, err := io.Copy(encoder, io.LimitReader(zeros{}, 64<<20)); err != nil {
		t.Fatal(err)
	}
	_ = encoder.Close()
	err := archive.Unpack(t.Context(), &b, t.TempDir(), archive.Limits{Bytes: 1 << 20, Entries: 10})
	if err == nil || !strings.Contains(err.Error(), "more than is allowed") {
		t.Errorf("error is %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, file("a/b", 10), symlink("l", "a/b")))
	f.Add(pack(f, file("../x", 1)))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		in := filepath.Join(outer, "in")
		_ = archive.Unpack(t.Context(), bytes.NewReader(data), in, archive.Limits{Bytes: 1 << 20, Entries: 100, PathLength: 200})
		entries, _ := os.ReadDir(outer)
		if len(entries) > 1 {
			t.Fatal("something was written outside")
		}
		_ = filepath.WalkDir(in, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Type()&os.ModeSymlink != 0 {
				target, _ := os.Readlink(path)
				if rel, err := filepath.Rel(in, filepath.Join(filepath.Dir(path), target)); err != nil || !filepath.IsLocal(rel) {
					t.Fatalf("%s links to %s", path, target)
				}
			}
			return nil
		})
	})
}

// FuzzUnpackTar gets past the compression.
func FuzzUnpackTar(f *testing.F) {
	f.Add("a/b", "a/../x", byte(tar.TypeSymlink), []byte("x"))
	f.Fuzz(func(t *testing.T, name, linkname string, kind byte, content []byte) {
		var b bytes.Buffer
		encoder, _ := zstd.NewWriter(&b)
		w := tar.NewWriter(encoder)
		if w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Linkname: linkname, Size: int64(len(content)), Mode: 0o777}) != nil {
			return
		}
		_, _ = w.Write(content)
		_ = w.Close()
		_ = encoder.Close()
		outer := t.TempDir()
		_ = archive.Unpack(t.Context(), &b, filepath.Join(outer, "in"), archive.Limits{})
		if entries, _ := os.ReadDir(outer); len(entries) > 1 {
			t.Fatal("something was written outside")
		}
	})
}
