// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package fileset

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// NeverIncluded says whether an entry of a tree is left out of every source and
// release: repository metadata, Terraform's and our own directories, state,
// plans and crash logs. They change whenever Terraform runs, so that no plan of
// theirs would stay true, and hold values of variables. A plan is known by its
// name, and under any name by its content. The error is that of reading it.
func NeverIncluded(tree fs.FS, name string, e fs.DirEntry) (bool, error) {
	switch base := path.Base(name); {
	case base == ".git" || base == ".terraform" || base == ".delivery" || strings.Contains(base, ".tfstate") || strings.HasSuffix(base, ".tfplan"):
		return true, nil
	case e.IsDir():
		return false, nil
	case base == "tfplan" || strings.HasPrefix(base, "tfplan.") || strings.HasPrefix(base, "crash") && strings.HasSuffix(base, ".log"):
		return true, nil
	case !e.Type().IsRegular():
		return false, nil
	}
	f, err := tree.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	return isPlan(f)
}

// Bounds of the look into a file that may be a plan.
const (
	maxPlan      = 256 << 20 // bytes of the file
	maxDirectory = 4 << 20   // bytes to read of the list of its entries
)

// isPlan says whether a file is a plan that Terraform saved: a zip archive with
// an entry for the plan or for the state. Terraform writes the plan first.
func isPlan(f fs.File) (bool, error) {
	var head [64]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	const fixed = 30 // bytes of an entry's header before its name
	if n < fixed || !bytes.HasPrefix(head[:], []byte("PK\x03\x04")) {
		return false, nil
	}
	if end := fixed + int(binary.LittleEndian.Uint16(head[26:])); end <= n && ofPlan(string(head[fixed:end])) {
		return true, nil
	}
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		return false, fmt.Errorf("%q cannot be read at any place", info.Name())
	}
	if info.Size() > maxPlan {
		return false, nil
	}
	archive, err := zip.NewReader(&boundedReaderAt{at, maxDirectory}, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return false, nil // not an archive of Terraform's
	}
	for _, entry := range archive.File {
		if ofPlan(entry.Name) {
			return true, nil
		}
	}
	return false, nil
}

func ofPlan(entry string) bool { return entry == "tfplan" || entry == "tfstate" }

// boundedReaderAt reads so many bytes in all, and then fails.
type boundedReaderAt struct {
	from io.ReaderAt
	left int
}

func (b *boundedReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("the list of entries is too long")
	}
	return b.from.ReadAt(p, offset)
}
