// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/process"
)

// grace is how long git has to end by itself when it is cancelled.
const grace = 2 * time.Second

// command is one call of git.
type command struct {
	what   string // for errors: "fetch commit 1234"
	args   []string
	online bool // may use the network, the user's Git configuration and our credentials
	dir    string
	env    []string
	stdin  io.Reader
	stdout io.Writer
}

// run calls git. An error is an *Error with git's own last lines.
func (r *Repository) run(ctx context.Context, c command) error {
	program, err := exec.LookPath("git")
	if err != nil {
		return errorf(NoGit, "Install git 2.31 or later where Terraform runs", "%s: there is no git client on the PATH", c.what)
	}
	cmd := exec.Command(program, c.args...)
	if cmd.Dir = c.dir; cmd.Dir == "" {
		cmd.Dir = r.dir
	}
	settings := baseSettings()
	cmd.Env = r.environment(c.online)
	if c.online {
		access, err := r.access()
		if err != nil {
			return err
		}
		defer access.close()
		cmd.Env = append(cmd.Env, access.env...)
		settings = append(settings, access.settings...)
	}
	cmd.Env = append(cmd.Env, settingsEnv(settings)...)
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stdin, cmd.Stdout = c.stdin, c.stdout
	var said tail
	cmd.Stderr = &said
	err = process.Run(ctx, cmd, process.Options{Grace: grace})
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.DeadlineExceeded) {
			return errorf(Unreachable, "", "%s of %s: it took too long", c.what, r.url)
		}
		return fmt.Errorf("%s of %s: %w", c.what, r.url, cause)
	}
	return r.explain(c, err, said.lines(r.credentials))
}

type setting struct{ key, value string }

// baseSettings hold for every call: nothing that a repository or the user
// configured is run or changes what is fetched.
func baseSettings() []setting {
	return []setting{
		{"core.hooksPath", os.DevNull},
		{"core.fsmonitor", "false"},
		{"core.askPass", ""},
		{"credential.interactive", "false"},
		{"protocol.version", "2"},
		{"fetch.recurseSubmodules", "false"},
		{"submodule.recurse", "false"},
		{"fetch.writeCommitGraph", "false"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"http.lowSpeedLimit", "1"},
		{"http.lowSpeedTime", "60"},
		{"log.showSignature", "false"},
		{"core.autocrlf", "false"},
		{"core.longpaths", "true"},
		{"advice.detachedHead", "false"},
	}
}

// settingsEnv hands settings to git through the environment, where they come
// last and are in no command line.
func settingsEnv(settings []setting) []string {
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings))}
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s.key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s.value))
	}
	return env
}

// kept are the variables of our own environment that git gets.
var kept = []string{"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "ProgramData", "ProgramFiles"}

// keptOnline are those that concern the way to a server and the user's right
// to enter it.
var keptOnline = []string{"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "HTTP_PROXY",
	"SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "GIT_CONFIG_GLOBAL", "GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"}

// environment is what git sees of ours. Offline, nothing of the user's
// configuration matters and no network may be used, not even to complete
// objects that a partial fetch left out.
func (r *Repository) environment(online bool) []string {
	env := []string{"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never", "GIT_ATTR_NOSYSTEM=1",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(r.dir)}
	names := kept
	if online {
		names = slices.Concat(kept, keptOnline)
		env = append(env, "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh")
	} else {
		env = append(env, "GIT_ALLOW_PROTOCOL=none", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// output runs git and gives what it printed, up to a limit.
func (r *Repository) output(ctx context.Context, limit int, c command) ([]byte, error) {
	b := &limited{limit: limit}
	c.stdout = b
	if err := r.run(ctx, c); err != nil {
		return nil, err
	}
	if b.over {
		return nil, errorf(Failed, "", "%s of %s: git answered with more than %d bytes", c.what, r.url, limit)
	}
	return b.data, nil
}

// limited keeps the first bytes written to it.
type limited struct {
	data  []byte
	limit int
	over  bool
}

func (b *limited) Write(p []byte) (int, error) {
	if room := b.limit - len(b.data); len(p) > room {
		b.data, b.over = append(b.data, p[:room]...), true
	} else {
		b.data = append(b.data, p...)
	}
	return len(p), nil
}

// tail keeps the last bytes written to it.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 16 << 10
	t.data = append(t.data, p...)
	if over := len(t.data) - most; over > most {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// lines are the last lines that say something, without credentials.
func (t *tail) lines(credentials []Credentials) []string {
	var lines []string
	for line := range strings.SplitSeq(redact(string(t.data), credentials), "\n") {
		if i := strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r'); i >= 0 { // progress
			line = line[i+1:]
		}
		line = printable(strings.TrimSpace(line), 400)
		if line == "" || boilerplate(line) {
			continue
		}
		lines = append(lines, line)
	}
	return lines[max(0, len(lines)-10):]
}

func boilerplate(line string) bool {
	switch line {
	case "Please make sure you have the correct access rights", "and the repository exists.",
		"fatal: Could not read from remote repository.":
		return true
	}
	return strings.HasPrefix(line, "hint:")
}
