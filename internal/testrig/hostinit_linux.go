// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// bootVariable in the environment makes this program the first process of a
// rig's machine instead of what it is otherwise. Its value is a hostSpec, or
// "{}" for a switch, which only has to be there.
const bootVariable = "TESTRIG_BOOT"

// hostSpec is what the first process of a host is told.
type hostSpec struct {
	Name  string
	Disk  string
	Space int64
}

func init() {
	spec, told := os.LookupEnv(bootVariable)
	if !told {
		return
	}
	var host hostSpec
	if err := json.Unmarshal([]byte(spec), &host); err != nil {
		giveUp("read the boot specification", err)
	}
	if host.Name == "" {
		fmt.Println("up")
		waitForPowerCut()
	}
	host.run()
}

// run never returns.
func (h hostSpec) run() {
	if err := h.mount(); err != nil {
		giveUp("mount the disk", err)
	}
	if err := unix.Sethostname([]byte(h.Name)); err != nil {
		giveUp("set the name", err)
	}
	if _, err := os.Stdin.Read(make([]byte, 16)); err != nil {
		os.Exit(0) // the power went before the network came
	}
	go waitForPowerCut()
	sshd, err := os.StartProcess(sshdProgram, []string{sshdProgram, "-D", "-e", "-f", "/etc/ssh/sshd_config"}, &os.ProcAttr{
		Env:   []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8"},
		Files: []*os.File{nil, os.Stderr, os.Stderr},
	})
	if err != nil {
		giveUp("start sshd", err)
	}
	// As the first process it inherits every orphan of the host.
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == sshd.Pid {
			giveUp("keep sshd running", fmt.Errorf("it ended (%v)", err))
		}
	}
}

// mount puts the host's own directories over this machine's. Nothing of it is
// seen outside.
func (h hostSpec) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leave the shared mounts: %w", err)
	}
	if h.Space > 0 {
		options := "mode=755,size=" + strconv.FormatInt(h.Space, 10) + ",uid=" + strconv.Itoa(deployID) + ",gid=" + strconv.Itoa(deployID)
		if err := unix.Mount("tmpfs", "/srv", "tmpfs", 0, options); err != nil {
			return fmt.Errorf("/srv: %w", err)
		}
	} else if err := bind(h.Disk, "srv"); err != nil {
		return err
	}
	// /tmp comes last: the disk itself may be under it.
	for _, path := range []string{"etc/ssh", "etc/passwd", "etc/group", "etc/shadow", "home", "root", "var/tmp", "tmp"} {
		if err := bind(h.Disk, path); err != nil {
			return err
		}
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	if err := os.Mkdir("/run/sshd", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	return nil
}

func bind(disk, path string) error {
	if err := unix.Mount(filepath.Join(disk, path), "/"+path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("/%s: %w", path, err)
	}
	return nil
}

// waitForPowerCut ends this process, and with it the whole machine, when the
// one that holds the other end of its standard input is gone.
func waitForPowerCut() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func giveUp(what string, err error) {
	fmt.Fprintf(os.Stderr, "rig: %s: %v\n", what, err)
	os.Exit(1)
}
