// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Dist builds the provider and its deployers, and packs them as a release has
// them:
//
//	go run ./internal/testrig/cmd/dist build -o bin
//	go run ./internal/testrig/cmd/dist pack -o dist -version 0.1.0 -os linux -arch amd64
//	go run ./internal/testrig/cmd/dist mirror -o ~/.terraform.d/plugins -version 0.1.0
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig/dist"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say build, pack or mirror")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	var (
		out      = flags.String("o", "bin", "directory to write to")
		version  = flags.String("version", "", "version of the release, such as 0.1.0")
		platform dist.Platform
	)
	flags.StringVar(&platform.OS, "os", runtime.GOOS, "operating system")
	flags.StringVar(&platform.Arch, "arch", runtime.GOARCH, "architecture")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "build":
		return dist.Build(ctx, ".", *out, platform, *version)
	case "pack":
		return packed(dist.Pack(ctx, ".", *out, platform, *version))
	case "mirror":
		return packed(dist.Mirror(ctx, ".", *out, platform, *version))
	default:
		return fmt.Errorf("%q is not known; say build, pack or mirror", args[0])
	}
}

func packed(file string, err error) error {
	if err == nil {
		fmt.Println(file)
	}
	return err
}
