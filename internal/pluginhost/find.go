// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Prefix begins the name of every deployer program.
const Prefix = "delivery-deployer-"

// DirectoryVariable names directories to search before the provider's own, as a
// list like PATH.
const DirectoryVariable = "DELIVERY_PLUGIN_DIR"

var validName = lazyregexp.New(`^[a-z0-9][a-z0-9-]{0,30}$`)

// DefaultDirectories are those of $DELIVERY_PLUGIN_DIR and "plugins" beside
// this program, where the provider's zip has them.
func DefaultDirectories() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv(DirectoryVariable)) {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		dirs = append(dirs, filepath.Join(filepath.Dir(self), "plugins"))
	}
	return dirs
}

// program is one file that is, or should be, a deployer.
type program struct {
	name     string
	path     string // absolute
	custom   bool
	checksum string // of custom ones
}

func (p program) key() string { return p.name + "\x00" + p.path + "\x00" + p.checksum }

func programFile(dir, name string) string {
	file := filepath.Join(dir, Prefix+name)
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	return file
}

// find locates the program of a name.
func (h *Host) find(name string) (program, error) {
	if !validName.MatchString(name) {
		return program{}, deployer.Errorf(deployer.CodeInvalid, "%q is no name of a deployer: small letters, digits and dashes", name)
	}
	for _, c := range h.options.Custom {
		if c.Name != name {
			continue
		}
		path, err := filepath.Abs(c.Path)
		if err != nil {
			return program{}, asError(err, "find")
		}
		return program{name: name, path: path, custom: true, checksum: c.Checksum}, nil
	}
	var searched []string
	for _, dir := range h.options.Directories {
		path, err := filepath.Abs(programFile(dir, name))
		if err != nil {
			return program{}, asError(err, "find")
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return program{name: name, path: path}, nil
		}
		searched = append(searched, path)
	}
	return program{}, &deployer.Error{
		Code: deployer.CodeFailed, Step: "find",
		Message: fmt.Sprintf("there is no deployer %q: %s", name, searchedIn(searched)),
		Advice: fmt.Sprintf("The deployers of this provider are in its package: install it again, or set %s to the directory that has %s. "+
			"A deployer of your own is named in a plugin block of the provider.", DirectoryVariable, Prefix+name),
	}
}

func searchedIn(searched []string) string {
	if len(searched) == 0 {
		return "there is no directory to search"
	}
	return "none of " + strings.Join(searched, ", ") + " exists"
}

// list gives every program there is, sorted by name.
func (h *Host) list() []program {
	known := map[string]bool{}
	var programs []program
	add := func(p program) {
		if !known[p.name] {
			known[p.name] = true
			programs = append(programs, p)
		}
	}
	for _, c := range h.options.Custom {
		if p, err := h.find(c.Name); err == nil {
			add(p)
		}
	}
	for _, dir := range h.options.Directories {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			name, ok := strings.CutPrefix(strings.TrimSuffix(entry.Name(), ".exe"), Prefix)
			if !ok || known[name] {
				continue
			}
			if p, err := h.find(name); err == nil {
				add(p)
			}
		}
	}
	slices.SortFunc(programs, func(a, b program) int { return strings.Compare(a.name, b.name) })
	return programs
}
