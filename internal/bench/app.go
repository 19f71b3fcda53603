// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
)

// The app: some source text in many files, some assets that do not compress,
// and a server, as a web application of some age has them.
const (
	appBytes  = 5_000_000
	textFiles = 960
	textBytes = 2_200
	assets    = 38
)

// makeApp writes the app, the same on every machine; serve is the program that
// answers its health checks, and fills it up with assets.
func makeApp(dir, serve string) error {
	random := rand.New(rand.NewSource(1))
	info, err := os.Stat(serve)
	if err != nil {
		return err
	}
	if err := copyProgram(serve, filepath.Join(dir, "bin", "serve")); err != nil {
		return err
	}
	for i := range textFiles {
		path := filepath.Join(dir, "lib", fmt.Sprintf("package%02d", i%23), fmt.Sprintf("module%03d.py", i))
		if err := writeNew(path, text(random, textBytes/2+random.Intn(textBytes))); err != nil {
			return err
		}
	}
	left := appBytes - int(info.Size()) - textFiles*textBytes
	if left < assets {
		return fmt.Errorf("the app's server has %d bytes, too many for an app of %d", info.Size(), appBytes)
	}
	for i := range assets {
		data := make([]byte, left/assets)
		random.Read(data)
		if err := writeNew(filepath.Join(dir, "static", fmt.Sprintf("image%02d.png", i)), data); err != nil {
			return err
		}
	}
	return nil
}

// text is like source code: words, indents and short lines.
func text(random *rand.Rand, size int) []byte {
	words := strings.Fields("def return self import from class if else for in not None True False value result request response data items name path config error raise with open read write format print join split key index")
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(strings.Repeat("    ", random.Intn(3)))
		for range 2 + random.Intn(7) {
			fmt.Fprintf(&b, "%s_%x ", words[random.Intn(len(words))], random.Intn(4096))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String()[:size])
}

func writeNew(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// pack writes the directory's files as a tar, gzipped when the name says so.
func pack(dir, to string) (err error) {
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	var out io.Writer = file
	if strings.HasSuffix(to, ".gz") {
		zipped := gzip.NewWriter(file)
		defer func() {
			if closed := zipped.Close(); err == nil {
				err = closed
			}
		}()
		out = zipped
	}
	archive := tar.NewWriter(out)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return archive.Close()
}

// measure counts the app's files and bytes.
func measure(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		files++
		bytes += info.Size()
		return err
	})
	return files, bytes, err
}
