// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Demo shows the whole way of an application, on this machine alone: from a
// commit to a running service, to the next version, through a bad one and
// back. It needs Go, git and terraform, changes nothing outside a temporary
// directory, and cleans up after itself, also on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "directory with the provider and plugins/")
	example := flag.String("example", "examples/quickstart", "directory with main.tf and app/")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := demonstrate(ctx, *bin, *example)
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything it had started was removed")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// demonstrate tells the story. What it started is gone when it returns.
func demonstrate(ctx context.Context, bin, example string) (err error) {
	started := time.Now()
	for _, program := range []string{"go", "git", "terraform"} {
		if err := installed(program); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "delivery-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	title(1, "A Git repository with a web application and its tests")
	repo, err := newRepository(ctx, filepath.Join(dir, "repository"), filepath.Join(example, "app"))
	if err != nil {
		return err
	}
	if err := repo.show(ctx); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	tf, err := newTerraform(ctx, dir, bin, filepath.Join(example, "main.tf"), repo.dir, port)
	if err != nil {
		return err
	}
	defer func() {
		if cleanErr := tf.clean(); err == nil {
			err = cleanErr
		}
	}()

	title(2, "terraform apply: test, build, release, deploy, verify")
	if err := tf.apply(ctx); err != nil {
		return err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	if err := expect(ctx, url, "Hello (version 1.0.0)"); err != nil {
		return err
	}

	users := watch(url)
	defer users.stop()

	title(3, "A new commit: the plan shows what will ship")
	if err := repo.commitGreeting(ctx); err != nil {
		return err
	}
	if err := tf.plan(ctx); err != nil {
		return err
	}
	title(4, "terraform apply: it ships")
	if err := tf.apply(ctx); err != nil {
		return err
	}
	if err := expect(ctx, url, "Hello, world (version 1.1.0)"); err != nil {
		return err
	}

	title(5, "A bad commit: its tests pass, but it cannot start here")
	if err := repo.commitBroken(ctx); err != nil {
		return err
	}
	switch err := tf.apply(ctx); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return errors.New("the bad version was deployed, and should have been reverted")
	}
	fmt.Println("\nThe apply failed, as it must, and the version before was put back:")
	if err := expect(ctx, url, "Hello, world (version 1.1.0)"); err != nil {
		return err
	}
	seen := users.stop()
	fmt.Printf("All the while somebody asked for the page, and tried again when no connection was to be had:\n  %s.\n", seen)
	if seen.failed > 0 {
		return fmt.Errorf("%d requests were not answered", seen.failed)
	}

	title(6, "terraform destroy: nothing is left")
	if err := tf.destroy(ctx); err != nil {
		return err
	}
	if answers(ctx, url) {
		return errors.New("the application still answers")
	}

	fmt.Printf(`
Done in %.0f seconds: two versions tested, released and deployed; a bad one reverted
before anybody's request was lost; everything removed.

Where to look next:
  examples/quickstart/main.tf   the configuration that was used
  examples/flask-ssh            three hosts over SSH, one after the other
  docs/guides/getting-started.md
`, time.Since(started).Seconds())
	return nil
}

func title(step int, text string) {
	fmt.Printf("\n\x1b[1m%d. %s\x1b[0m\n\n", step, text)
}
