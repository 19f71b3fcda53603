// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// version is what the demonstration calls the provider that it was given.
const version = "0.0.1"

// terraform is a working directory with the example's configuration.
type terraform struct {
	dir string
	env []string
}

// newTerraform sets up a working directory as a user would: the configuration,
// values for its variables, and terraform init. The provider comes from a
// filesystem mirror, which is a directory of a certain form.
func newTerraform(ctx context.Context, dir, bin, configuration, repository string, port int) (*terraform, error) {
	tf := &terraform{dir: filepath.Join(dir, "terraform")}
	if err := os.Mkdir(tf.dir, 0o755); err != nil {
		return nil, err
	}
	mirror := filepath.Join(dir, "mirror")
	if err := mirrorOf(mirror, bin); err != nil {
		return nil, fmt.Errorf("offer the provider to Terraform: %w", err)
	}
	config := filepath.Join(dir, "terraform.rc")
	main, err := os.ReadFile(configuration)
	if err != nil {
		return nil, err
	}
	variables := fmt.Sprintf("repository = %q\npath       = %q\nport       = %d\n", repository, filepath.Join(dir, "deployed"), port)
	for path, content := range map[string]string{
		config:                           fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror),
		filepath.Join(tf.dir, "main.tf"): string(main),
		filepath.Join(tf.dir, "terraform.tfvars"): variables,
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	tf.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_IN_AUTOMATION=1", "TF_DATA_DIR=")
	if out, err := tf.command(ctx, "init", "-no-color").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("terraform init: %w\n%s", err, out)
	}
	return tf, nil
}

// mirrorOf makes a filesystem mirror that holds the programs in bin.
func mirrorOf(mirror, bin string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	platform := runtime.GOOS + "_" + runtime.GOARCH
	place := filepath.Join(mirror, "registry.terraform.io", "tfdelivery", "delivery", version)
	if err := os.MkdirAll(place, 0o755); err != nil {
		return err
	}
	if os.Symlink(bin, filepath.Join(place, platform)) == nil {
		return nil
	}
	return os.CopyFS(filepath.Join(place, platform), os.DirFS(bin))
}

// plan shows a plan.
func (tf *terraform) plan(ctx context.Context) error {
	return tf.run(ctx, func(string) bool { return true }, "plan", "-input=false", "-no-color")
}

// apply shows what an apply does, without its plan.
func (tf *terraform) apply(ctx context.Context) error {
	return tf.run(ctx, afterPlan(), "apply", "-input=false", "-no-color", "-auto-approve", "-compact-warnings")
}

func (tf *terraform) destroy(ctx context.Context) error {
	return tf.run(ctx, afterPlan(), "destroy", "-input=false", "-no-color", "-auto-approve")
}

// clean destroys what is left when the story ended early.
func (tf *terraform) clean() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	left, err := tf.command(ctx, "state", "list").Output()
	if err != nil || len(left) == 0 {
		return nil
	}
	fmt.Println("\nRemoving what was deployed …")
	if out, err := tf.command(ctx, "destroy", "-input=false", "-no-color", "-auto-approve").CombinedOutput(); err != nil {
		return fmt.Errorf("terraform destroy: %w\n%s", err, out)
	}
	return nil
}

// afterPlan leaves out the plan but for its summary.
func afterPlan() func(line string) bool {
	planned, shown := false, false
	return func(line string) bool {
		for _, start := range []string{"delivery_", "Warning", "Error", "Apply complete!", "Destroy complete!"} {
			shown = shown || planned && strings.HasPrefix(line, start)
		}
		summary := strings.HasPrefix(line, "Plan: ") || strings.HasPrefix(line, "No changes.")
		planned = planned || summary
		shown = shown || !planned && strings.HasPrefix(line, "Error")
		return shown || summary
	}
}

// run runs a command of terraform, printing the lines that are wanted.
func (tf *terraform) run(ctx context.Context, wanted func(string) bool, args ...string) error {
	fmt.Println("  $ terraform " + args[0])
	cmd := tf.command(ctx, args...)
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		lines := bufio.NewScanner(reader)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if wanted(lines.Text()) {
				fmt.Println("  " + lines.Text())
			}
		}
		_, _ = io.Copy(io.Discard, reader)
	}()
	err := cmd.Run()
	writer.Close()
	<-printed
	if err != nil {
		return fmt.Errorf("terraform %s: %w", args[0], err)
	}
	return nil
}

// command asks terraform to stop when ctx ends, once, and gives it time to do
// so. Ctrl-C in the terminal reaches only this program: a second interrupt
// would make terraform give up.
func (tf *terraform) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "terraform", args...)
	cmd.Dir, cmd.Env = tf.dir, tf.env
	ownGroup(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return cmd
}
