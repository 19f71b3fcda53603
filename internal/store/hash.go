// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
)

// hashFile gives a file's digest and size.
func hashFile(ctx context.Context, path string) (digest string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	return hashCopy(ctx, io.Discard, f)
}

// hashCopy copies and gives the digest and size of what it copied.
func hashCopy(ctx context.Context, to io.Writer, from io.Reader) (digest string, size int64, err error) {
	sum := sha256.New()
	buffer := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return "", size, err
		}
		n, err := from.Read(buffer)
		sum.Write(buffer[:n])
		if _, err := to.Write(buffer[:n]); err != nil {
			return "", size, err
		}
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return "sha256:" + hex.EncodeToString(sum.Sum(nil)), size, nil
		}
		if err != nil {
			return "", size, err
		}
	}
}
