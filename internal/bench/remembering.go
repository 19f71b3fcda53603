// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// memoryMost is what a process of ours may take at its peak, and memoryBytes
// the artifact with which it is measured.
const (
	memoryMost  = 100 << 20
	memoryBytes = 1 << 30
)

// remembering measures memory, while a big release is made and then deployed.
func (s *stage) remembering(ctx context.Context, o options) (tables []table, err error) {
	const title = "Memory with an artifact of 1 GiB"
	if !o.scenarios.MatchString(title) || !o.tools.MatchString(oursName) {
		return nil, nil
	}
	fmt.Fprintf(os.Stderr, "bench: %s\n", title)
	source := s.rig.TempDir()
	if err := bigFile(filepath.Join(source, "model.bin"), memoryBytes); err != nil {
		return nil, err
	}
	result := table{title: title}
	watched := func(what string, cmd *exec.Cmd) error {
		peaks, err := s.watched(ctx, cmd)
		for _, program := range slices.Sorted(maps.Keys(peaks)) {
			r := row{what: what + ": " + program, memory: peaks[program]}
			result.rows = append(result.rows, r)
			if r.memory > memoryMost {
				result.broken = append(result.broken, fmt.Sprintf("%s took %d MiB; less than %d was promised", r.what, r.memory>>20, memoryMost>>20))
			}
		}
		return err
	}
	cmd, err := s.delivery.release(s.rig.TempDir(), "big", source)
	if err != nil {
		return nil, err
	}
	if err := watched("making the release", cmd); err != nil {
		return []table{result}, err
	}
	t := s.trial(s.near.first(1))
	if err := s.delivery.deployment(t, "big:1.0.0", false); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.delivery.destroy(t.work), t.eachHost("rm -rf "+t.dir)) }()
	err = watched("deploying it", s.delivery.terraform(t.work, "apply", "-auto-approve"))
	return []table{result}, err
}

// watched runs a command and notes the peaks of our programs under it.
func (s *stage) watched(ctx context.Context, cmd *exec.Cmd) (map[string]int64, error) {
	watching, stop := context.WithCancel(ctx)
	peaks := make(chan map[string]int64, 1)
	go func() { peaks <- watchMemory(watching, s.delivery.tf.Provider) }()
	_, err := run(ctx, cmd)
	stop()
	return <-peaks, err
}

// bigFile writes bytes that do not compress.
func bigFile(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	_, err = io.CopyN(out, rand.New(rand.NewSource(2)), size)
	return errors.Join(err, out.Flush(), file.Close())
}
