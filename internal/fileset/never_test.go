// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package fileset_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tfdelivery/terraform-provider-delivery/internal/fileset"
)

func never(t testing.TB, tree fs.FS, name string) (bool, error) {
	t.Helper()
	info, err := fs.Lstat(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return fileset.NeverIncluded(tree, name, fs.FileInfoToDirEntry(info))
}

func TestNeverIncludedByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		".git/": true, ".git": true, ".terraform/": true, ".delivery/": true, "terraform.tfstate": true, "x.tfstate.backup": true,
		"terraform.tfstate.d/": true, "a.tfplan": true, "tfplan": true, "tfplan.out": true, "tfplan.json": true, "sub/tfplan": true,
		"crash.log": true, "crash.20260101.log": true, "crash-1.log": true,
		".gitignore": false, ".github/": false, "main.tf": false, ".terraform.lock.hcl": false, "tfplans": false, "mytfplan": false,
		"tfplan/": false, "tfplan.d/": false, "crash.log/": false, "crash.txt": false, "app.log": false, "tfplan/main.go": false,
	} {
		tree, file := fstest.MapFS{}, &fstest.MapFile{Data: []byte("PK")}
		if bare, ok := strings.CutSuffix(name, "/"); ok {
			name, file = bare, &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		}
		tree[name] = file
		if got, err := never(t, tree, name); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}

func zipped(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		entry, err := w.Create(name)
		if err == nil {
			_, err = entry.Write([]byte("content"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A saved plan may have any name.
func TestNeverIncludedByContent(t *testing.T) {
	t.Parallel()
	plan := zipped(t, "tfplan", "tfstate", "tfstate-prev", "tfconfig/m-/main.tf")
	long := zipped(t, strings.Repeat("x", 60), "tfplan")
	// More than is looked at.
	many := zipped(t, append(slices.Repeat([]string{strings.Repeat("y", 60000)}, 80), "tfplan")...)
	// A header may promise a longer name than there is.
	short := append([]byte("PK\x03\x04"), bytes.Repeat([]byte{0xff}, 40)...)
	binary.LittleEndian.PutUint16(short[26:], 65535)
	for name, c := range map[string]struct {
		content []byte
		want    bool
	}{
		"a plan": {plan, true}, "cut off": {plan[:60], true}, "state later": {zipped(t, "x", "tfstate"), true}, "a long first name": {long, true},
		"a zip": {zipped(t, "app/tfplan", "main.py"), false}, "an empty zip": {zipped(t), false}, "a bad zip": {short, false},
		"too many entries": {many, false}, "only the magic": {[]byte("PK\x03\x04"), false}, "text": {[]byte("tfplan"), false}, "empty": {nil, false},
		"not at the beginning": {append([]byte("#!/bin/sh\n"), plan...), false},
	} {
		got, err := never(t, fstest.MapFS{"out": {Data: c.content}}, "out")
		if got != c.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	link := fstest.MapFS{"link": {Data: []byte("plan"), Mode: fs.ModeSymlink}, "plan": {Data: plan}}
	if got, err := never(t, link, "link"); got || err != nil {
		t.Errorf("a link is not followed: %v, %v", got, err)
	}
}

func FuzzNeverIncluded(f *testing.F) {
	f.Add(zipped(f, "tfplan"))
	f.Add(zipped(f, "a", "tfstate"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := never(t, fstest.MapFS{"out": {Data: data}}, "out"); err != nil {
			t.Error(err)
		}
	})
}
