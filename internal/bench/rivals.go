// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// How each rival is used is how its manual shows it: an archive goes up, is
// unpacked, and a link is switched.
var (
	//go:embed rivals/provisioner.tf
	provisionerConfig string
	//go:embed rivals/fabfile.py
	fabricScript string
	//go:embed rivals/playbook.yml
	playbook string
	//go:embed rivals/ansible.cfg
	ansibleConfig string
)

// debianPython is the interpreter that Debian's packages are for.
const debianPython = "/usr/bin/python3"

// rivals names Debian's packages of the rivals by the program that needs them.
var rivals = map[string]string{"ansible-playbook": "ansible-core", "fab": "fabric"}

// installTime bounds installing them.
const installTime = 10 * time.Minute

// install brings the rivals that are missing, where this is Debian and we are
// root. That it failed shows in the table.
func install(ctx context.Context) {
	var missing []string
	for program, pack := range rivals {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pack)
		}
	}
	apt, err := exec.LookPath("apt-get")
	if len(missing) == 0 || err != nil || os.Geteuid() != 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	fmt.Fprintln(os.Stderr, "bench: installing", strings.Join(missing, " "))
	for _, arguments := range [][]string{
		append([]string{"install", "-y", "-q", "--no-install-recommends"}, missing...),
		{"update", "-q"},
		append([]string{"install", "-y", "-q", "--no-install-recommends"}, missing...),
	} {
		cmd := exec.CommandContext(bounded, apt, arguments...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		ownGroup(cmd)
		out, err := cmd.CombinedOutput()
		if err == nil && arguments[0] == "install" {
			return
		}
		if err != nil && arguments[0] == "update" {
			fmt.Fprintf(os.Stderr, "bench: apt-get update: %v\n%s", err, lastLines(out))
			return
		}
	}
}

func quiet(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "TMPDIR=" + os.TempDir()}
}

func nothing() error { return nil }

// newLimit is this very program with another argument.
func newLimit(archive string) contender {
	return contender{name: limitName, version: "golang.org/x/crypto/ssh", ready: func(t trial) (*exec.Cmd, func() error, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, nil, err
		}
		arguments := []string{limitArgument, t.hosts.user, t.hosts.keyFile, t.hosts.knownHosts, archive, t.dir}
		for _, h := range t.hosts.all {
			arguments = append(arguments, h.address())
		}
		return exec.Command(self, arguments...), nothing, nil
	}}
}

// newProvisioners is Terraform with one terraform_data per host.
func newProvisioners(archive string) contender {
	c := contender{name: provisionerName, version: firstLine("terraform", "version")}
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		c.missing = err.Error()
	}
	c.ready = func(t trial) (*exec.Cmd, func() error, error) {
		each := map[string]any{}
		for _, h := range t.hosts.all {
			each[h.name] = map[string]any{"ip": h.ip, "port": h.port, "key": h.key}
		}
		err := writeJSON(filepath.Join(t.work, "terraform.tfvars.json"), map[string]any{
			"hosts": each, "user": t.hosts.user, "key_file": t.hosts.keyFile, "archive": archive, "directory": t.dir,
		})
		if err == nil {
			err = writeNew(filepath.Join(t.work, "main.tf"), []byte(provisionerConfig))
		}
		cmd := exec.Command(terraform, "apply", "-no-color", "-input=false", "-auto-approve", fmt.Sprintf("-parallelism=%d", len(t.hosts.all)))
		cmd.Dir = t.work
		cmd.Env = append(quiet(t.work), "CHECKPOINT_DISABLE=1")
		return cmd, nothing, err
	}
	return c
}

// newFabric is a script with a ThreadingGroup.
func newFabric(archive string) contender {
	c := contender{name: fabricName, version: firstLine("fab", "--version")}
	if err := exec.Command(debianPython, "-c", "import fabric").Run(); err != nil {
		c.missing = "Debian's python3-fabric is not installed"
	}
	c.ready = func(t trial) (*exec.Cmd, func() error, error) {
		var addresses []string
		for _, h := range t.hosts.all {
			addresses = append(addresses, h.address())
		}
		script := filepath.Join(t.work, "deploy.py")
		cmd := exec.Command(debianPython, append([]string{script, t.hosts.user, t.hosts.keyFile, t.hosts.knownHosts, archive, t.dir}, addresses...)...)
		cmd.Env = quiet(t.work)
		return cmd, nothing, writeNew(script, []byte(fabricScript))
	}
	return c
}

// newAnsible is a playbook over pipelined, multiplexed SSH, all hosts at once.
func newAnsible(archive string) contender {
	c := contender{name: ansibleName, version: firstLine("ansible-playbook", "--version")}
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		c.missing = "Debian's ansible-core is not installed"
	}
	c.ready = func(t trial) (*exec.Cmd, func() error, error) {
		all := map[string]any{}
		for _, h := range t.hosts.all {
			all[h.name] = map[string]any{"ansible_host": h.ip, "ansible_port": h.port}
		}
		inventory := map[string]any{"all": map[string]any{"hosts": all, "vars": map[string]any{
			"ansible_user": t.hosts.user, "ansible_ssh_private_key_file": t.hosts.keyFile,
			"ansible_ssh_common_args":    "-o UserKnownHostsFile=" + t.hosts.knownHosts,
			"ansible_python_interpreter": debianPython,
			"archive":                    archive, "directory": t.dir,
		}}}
		err := errors.Join(
			writeJSON(filepath.Join(t.work, "inventory.json"), inventory),
			writeNew(filepath.Join(t.work, "playbook.yml"), []byte(playbook)),
			writeNew(filepath.Join(t.work, "ansible.cfg"), []byte(ansibleConfig)),
		)
		// Sockets of connections need a short path of their own.
		control, failed := os.MkdirTemp("", "cp")
		if err == nil {
			err = failed
		}
		cmd := exec.Command(program, "-i", "inventory.json", "playbook.yml")
		cmd.Dir = t.work
		cmd.Env = append(quiet(t.work), "ANSIBLE_SSH_CONTROL_PATH_DIR="+control, fmt.Sprintf("ANSIBLE_FORKS=%d", len(t.hosts.all)))
		return cmd, func() error { return os.RemoveAll(control) }, err
	}
	return c
}

func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeNew(path, data)
}

// firstLine is what a program says first; "" when it is not there.
func firstLine(program string, arguments ...string) string {
	out, err := exec.Command(program, arguments...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
