// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Command bench measures what this provider promises about speed and memory,
// against the least that any tool has to do and against what people use today:
// Terraform's own provisioners, Fabric and Ansible. It runs on real hosts with
// real OpenSSH, all on this machine, and needs Linux and root.
// docs/design/performance.md says how and why.
//
// It prints a table and ends with status 1 when a promise is broken.
// BENCH_RUNS is the number of runs of each tool in each scenario, 3 unless set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
)

// options choose a part of the bench.
type options struct {
	runs      int
	scenarios *regexp.Regexp
	tools     *regexp.Regexp
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == limitArgument {
		exit(limit(os.Args[2:]))
	}
	o, err := parseOptions()
	if err != nil {
		exit(err)
	}
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		exit(errors.New("the bench makes hosts out of namespaces, which needs Linux and root"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	r, err := newRig()
	if err != nil {
		exit(err)
	}
	exit(r.run(func() error { return bench(ctx, r, o) }))
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	if !errors.Is(err, errFatal) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(1)
}

func parseOptions() (options, error) {
	o := options{runs: 3}
	if value := os.Getenv("BENCH_RUNS"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 100 {
			return o, fmt.Errorf("BENCH_RUNS is %q; it must be a number from 1 to 100", value)
		}
		o.runs = n
	}
	scenarios := flag.String("scenarios", "", "measure only the scenarios whose name matches this regular expression")
	tools := flag.String("tools", "", "measure only the tools whose name matches this regular expression")
	flag.Parse()
	var err error
	if o.scenarios, err = regexp.Compile(*scenarios); err != nil {
		return o, fmt.Errorf("-scenarios: %w", err)
	}
	if o.tools, err = regexp.Compile(*tools); err != nil {
		return o, fmt.Errorf("-tools: %w", err)
	}
	return o, nil
}

// bench measures everything and prints it.
func bench(ctx context.Context, r *rig, o options) error {
	install(ctx)
	s, err := newStage(ctx, r, o)
	if err != nil {
		return err
	}
	var tables []table
	for _, measure := range []func(context.Context, options) ([]table, error){s.planning, s.deploying, s.remembering, s.rolling} {
		more, err := measure(ctx, o)
		tables = append(tables, more...)
		if err != nil {
			printAll(os.Stdout, s.about(), tables)
			return err
		}
	}
	printAll(os.Stdout, s.about(), tables)
	var broken []error
	for _, t := range tables {
		for _, promise := range t.broken {
			broken = append(broken, errors.New(t.title+": "+promise))
		}
	}
	return errors.Join(broken...)
}
