// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// repository is a Git repository with the application.
type repository struct{ dir string }

// newRepository commits a copy of the application as version 1.0.0.
func newRepository(ctx context.Context, dir, app string) (*repository, error) {
	if err := os.CopyFS(dir, os.DirFS(app)); err != nil {
		return nil, fmt.Errorf("copy the application: %w", err)
	}
	r := &repository{dir: dir}
	if _, err := r.git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
		return nil, err
	}
	return r, r.commit(ctx, "Greet politely", "v1.0.0")
}

// commitGreeting makes version 1.1.0, a good one.
func (r *repository) commitGreeting(ctx context.Context) error {
	if err := r.edit("greeting.go", `"Hello"`, `"Hello, world"`); err != nil {
		return err
	}
	if err := r.edit("VERSION", "1.0.0", "1.1.0"); err != nil {
		return err
	}
	if err := r.commit(ctx, "Greet the whole world", "v1.1.0"); err != nil {
		return err
	}
	return r.show(ctx)
}

// commitBroken makes version 1.2.0, which wants what nobody gives it.
func (r *repository) commitBroken(ctx context.Context) error {
	const parsed = "\tflag.Parse()\n"
	wants := parsed + "\tif os.Getenv(\"GREETINGS_URL\") == \"\" {\n\t\tlog.Fatal(\"GREETINGS_URL is not set: nothing to greet with\")\n\t}\n"
	if err := r.edit("main.go", parsed, wants); err != nil {
		return err
	}
	if err := r.edit("main.go", "\t\"net/http\"\n", "\t\"net/http\"\n\t\"os\"\n"); err != nil {
		return err
	}
	if err := r.edit("VERSION", "1.1.0", "1.2.0"); err != nil {
		return err
	}
	if err := r.commit(ctx, "Fetch greetings from a service", "v1.2.0"); err != nil {
		return err
	}
	return r.show(ctx)
}

// edit replaces a text in a file, once.
func (r *repository) edit(name, from, to string) error {
	path := filepath.Join(r.dir, name)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(content), from) {
		return fmt.Errorf("%s does not contain %q", name, from)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(content), from, to, 1)), 0o644)
}

// commit commits everything and tags it.
func (r *repository) commit(ctx context.Context, message, tag string) error {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--message", message}, {"tag", tag}} {
		if _, err := r.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// show prints the newest commit.
func (r *repository) show(ctx context.Context) error {
	out, err := r.git(ctx, "log", "-1", "--stat", "--format=%h %s%d")
	if err == nil {
		fmt.Println(indent(out))
	}
	return err
}

// git leaves the user's own configuration of Git alone.
func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Demo", "GIT_AUTHOR_EMAIL=demo@example.org",
		"GIT_COMMITTER_NAME=Demo", "GIT_COMMITTER_EMAIL=demo@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return strings.TrimRight(string(out), "\n"), nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
