// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var validChecksum = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)

// maxProgram bounds the file of a custom deployer, in bytes.
const maxProgram = 1 << 30

// verifiedCopy copies a custom deployer into a directory that only this user
// can write, and returns the copy if it has the checksum. What is run is what
// was hashed: nothing done to the original afterwards can change it.
func verifiedCopy(p program, dir string) (string, error) {
	if !validChecksum.MatchString(p.checksum) {
		return "", &deployer.Error{
			Code: deployer.CodeInvalid, Step: "verify", Path: []string{"checksum"},
			Message: fmt.Sprintf("the checksum of deployer %q is %q, and has to be \"sha256:\" with 64 hexadecimal digits in small letters", p.name, p.checksum),
			Advice:  "sha256sum prints it for a file.",
		}
	}
	from, err := os.Open(p.path)
	if err != nil {
		e := &deployer.Error{
			Code: deployer.CodeFailed, Step: "find", Path: []string{"path"},
			Message: fmt.Sprintf("deployer %q: %v", p.name, err),
		}
		if errors.Is(err, fs.ErrNotExist) {
			e.Message = fmt.Sprintf("there is no deployer %q: %s does not exist", p.name, p.path)
			e.Advice = "The path in the plugin block is relative to the directory where Terraform runs."
		}
		return "", e
	}
	defer func() { _ = from.Close() }()
	if info, err := from.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", &deployer.Error{
			Code: deployer.CodeFailed, Step: "find", Path: []string{"path"},
			Message: fmt.Sprintf("deployer %q: %s is no regular file", p.name, p.path),
		}
	}
	copied := filepath.Join(dir, filepath.Base(p.path))
	sum, err := copyHashed(from, copied)
	if err != nil {
		return "", asError(fmt.Errorf("copy deployer %q: %w", p.name, err), "verify")
	}
	if got := "sha256:" + sum; got != p.checksum {
		_ = os.Remove(copied)
		return "", &deployer.Error{
			Code: deployer.CodeRefused, Step: "verify", Path: []string{"checksum"},
			Message: fmt.Sprintf("%s has the checksum %s, but the configuration wants %s", p.path, got, p.checksum),
			Advice:  "If the file is the one you mean, put its checksum into the plugin block; otherwise find out who changed it.",
		}
	}
	return copied, nil
}

func copyHashed(from io.Reader, path string) (sum string, err error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, hash), io.LimitReader(from, maxProgram+1))
	if err == nil && n > maxProgram {
		err = fmt.Errorf("it is larger than %d bytes", maxProgram)
	}
	if closing := to.Close(); err == nil {
		err = closing
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}
