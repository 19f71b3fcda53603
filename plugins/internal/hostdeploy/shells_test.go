// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// otherShells is this machine with other shells than it has.
type otherShells struct{ login, sh string }

func (o otherShells) Connect(ctx context.Context, address string) (Conn, error) {
	c, err := locally{}.Connect(ctx, address)
	return shellConn{c, o}, err
}

func (o otherShells) Close() error { return nil }

type shellConn struct {
	Conn
	shells otherShells
}

func (c shellConn) Start(ctx context.Context, command string) (Session, error) {
	return c.Conn.Start(ctx, "exec "+c.shells.login+" -c "+quote(strings.ReplaceAll(command, "/bin/sh", c.shells.sh)))
}

// TestShells deploys with every shell that is installed here, as /bin/sh and as
// the user's login shell.
func TestShells(t *testing.T) {
	t.Parallel()
	posix := map[string][]string{"dash": {"dash"}, "bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"}, "zsh": {"zsh", "--emulate", "sh"}, "ksh": {"ksh"}}
	for name, command := range posix {
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		command[0] = path
		t.Run("sh is "+name, func(t *testing.T) {
			t.Parallel()
			sh := filepath.Join(t.TempDir(), "sh")
			if err := os.WriteFile(sh, []byte("#!/bin/sh\nexec "+strings.Join(command, " ")+" \"$@\"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			deployWith(t, otherShells{login: "/bin/sh", sh: sh})
		})
	}
	for _, name := range []string{"bash", "zsh", "csh", "tcsh", "fish", "ksh"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		t.Run("login shell is "+name, func(t *testing.T) {
			t.Parallel()
			deployWith(t, otherShells{login: path, sh: "/bin/sh"})
		})
	}
}

func deployWith(t *testing.T, shells otherShells) {
	t.Helper()
	d := New(Local, "test")
	d.transport, d.directory = shells, t.TempDir()
	r := rigOf(t, d, localHost, map[string]any{"shared": []string{"data"}})
	r.config["install"] = []string{"echo 'it''s' >built", "! false"}
	if got := r.preview(revision(t, "rev-1", nil)); len(got) > 0 {
		t.Error(said(got))
	}
	for n := range 2 {
		id := fmt.Sprint("rev-", n+1)
		r.op.ID = id
		r.config["service"] = map[string]any{"command": fmt.Sprintf(`printf 'run %d %%s\n' "$NAME" >../../out; exec sleep 1000`, n+1), "stop_signal": "INT", "stop_timeout": "2s"}
		rev := revision(t, id, map[string]string{"bin/run*": "x"})
		rev.Environment = map[string]string{"NAME": "a 'b' \"c\" \\n !d $e `f` \xc3\xa9"}
		r.deploy(rev)
		if got := r.check(id, deployer.Probe{}, 10*time.Second); got.Status != deployer.CheckPass {
			t.Fatalf("check: %+v", got)
		}
		want := fmt.Sprintf("run %d %s\n", n+1, rev.Environment["NAME"])
		eventually(t, "the service writes "+want, func() bool { return r.exists("out") && r.file("out") == want })
	}
	if got := r.check("rev-2", deployer.Probe{Command: &deployer.CommandProbe{Command: `test "$NAME" && test -e built`}}, 0); got.Status != deployer.CheckPass {
		t.Errorf("check: %+v", got)
	}
	added := map[string]string{"ADDED": "a 'b' \"c\" \\n $(d)\n`e`", "NAME": "hidden"}
	ran, err := r.d.Run(t.Context(), deployer.RunRequest{
		Mutation: r.mutation(), RevisionID: "rev-2", Environment: added, Command: []string{"sh", "-c", `test -e built; printf '%s;%s' "$ADDED" "$NAME"; exit 6`},
	}, quiet)
	r.must(err)
	if got := strings.Join(ran.Log, "\n"); ran.ExitCode != 6 || got != added["ADDED"]+";hidden" {
		t.Errorf("run: %d %q", ran.ExitCode, got)
	}
	r.acquire()
	r.must(os.Remove(filepath.Join(r.path, "out")))
	_, err = r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	r.must(err)
	if r.exists("") {
		t.Error(listing(t, r.path))
	}
}
