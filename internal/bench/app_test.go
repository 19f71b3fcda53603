// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestAppIsAsBigAsPromisedAndTheSameAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := filepath.Join(dir, "serve")
	if err := os.WriteFile(server, make([]byte, 2<<20), 0o755); err != nil {
		t.Fatal(err)
	}
	var packed [2][]byte
	for i, name := range []string{"one", "two"} {
		app := filepath.Join(dir, name)
		if err := makeApp(app, server); err != nil {
			t.Fatal(err)
		}
		files, size, err := measure(app)
		if err != nil || files != textFiles+assets+1 || size < appBytes*98/100 || size > appBytes*102/100 {
			t.Errorf("%d files, %d bytes, %v", files, size, err)
		}
		for _, file := range []string{"lib/package05/module005.py", "static/image07.png"} {
			data, err := os.ReadFile(filepath.Join(app, file))
			if err != nil {
				t.Fatal(err)
			}
			packed[i] = append(packed[i], data...)
		}
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("the app differs from one run to the next")
	}
}

func TestAppRefusesAServerAsBigAsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := filepath.Join(dir, "serve")
	if err := os.WriteFile(server, make([]byte, appBytes), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := makeApp(filepath.Join(dir, "app"), server); err == nil {
		t.Error("no error")
	}
}
