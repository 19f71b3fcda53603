// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package pluginhost finds deployer programs, makes sure that they are what
// they should be, starts them when they are first needed, watches over them and
// sees to it that none is left behind. What it gives out is a
// deployer.Deployer like any other.
package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Options say which deployers there are, and how they are configured.
type Options struct {
	// Directories are searched in order; see [DefaultDirectories].
	Directories []string
	// Custom deployers come before those of the directories.
	Custom []Custom
	// Connections is the connection configuration by deployer name, as JSON. The
	// one called "ssh" also goes to every deployer with the capability
	// ssh_connection.
	Connections map[string]json.RawMessage
	// Logger receives what the programs print, under their names; nil: nobody.
	Logger hclog.Logger

	// StartTimeout bounds a program's start; 0: 30 s.
	StartTimeout time.Duration
	// HangTimeout is the silence after which a program is taken for hung and
	// killed; 0: 30 s. Programs give a sign of life every two seconds.
	HangTimeout time.Duration
	// Environment is what programs may see of this process's environment, as
	// os.Environ gives it; nil: os.Environ itself. Only the variables that
	// [Passed] names go through.
	Environment []string
}

// Custom is a deployer that the user names.
type Custom struct {
	Name     string
	Path     string
	Checksum string          // "sha256:<64 hex digits>" of the file
	Config   json.RawMessage // connection configuration; nil: {}
}

// Found is a deployer that could be used.
type Found struct {
	Name         string
	Path         string
	Custom       bool
	Checksum     string // of custom ones
	Version      string
	Capabilities []deployer.Capability
	Artifacts    []string // media types
	// Err says why the program cannot be used; the fields that only the program
	// itself knows are then empty.
	Err error
}

// Host owns the processes of deployers. Its methods are safe for concurrent
// use. Close it, or call [CloseAll], before the process ends.
type Host struct {
	options Options
	logger  hclog.Logger
	closing context.Context // ends with the host
	close   context.CancelFunc

	mu        sync.Mutex
	closed    bool
	dir       *runDirectory
	processes map[string]*slot // by program
}

// slot is the place of one program's process: at most one runs at a time.
type slot struct {
	program program
	mu      chan struct{} // a lock that can be waited for with a context
	current *process      // nil: never started
}

var (
	hostsMu sync.Mutex
	hosts   = map[*Host]struct{}{}
)

// New starts nothing.
func New(options Options) *Host {
	if options.StartTimeout <= 0 {
		options.StartTimeout = 30 * time.Second
	}
	if options.HangTimeout <= 0 {
		options.HangTimeout = 30 * time.Second
	}
	h := &Host{options: options, logger: options.Logger, processes: map[string]*slot{}}
	if h.logger == nil {
		h.logger = hclog.NewNullLogger()
	}
	h.closing, h.close = context.WithCancel(context.Background())
	hostsMu.Lock()
	hosts[h] = struct{}{}
	hostsMu.Unlock()
	return h
}

// Deployer returns the deployer of a name, started and configured. The process
// is shared by all who ask for the same program, and watched: when it has
// crashed, calls that only read start it again, and calls that change something
// say so.
func (h *Host) Deployer(ctx context.Context, name string) (deployer.Deployer, error) {
	p, err := h.find(name)
	if err != nil {
		return nil, err
	}
	s := &supervised{host: h, slot: h.slot(p)}
	if _, err := s.process(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Found lists the deployers that could be used, by name; it starts each of them
// to ask what it is. Of several with one name only the first counts.
func (h *Host) Found(ctx context.Context) []Found {
	programs := h.list()
	found := make([]Found, len(programs))
	var wg sync.WaitGroup
	for i, p := range programs {
		found[i] = Found{Name: p.name, Path: p.path, Custom: p.custom, Checksum: p.checksum}
		wg.Go(func() {
			process, err := h.started(ctx, h.slot(p))
			if err != nil {
				found[i].Err = err
				return
			}
			d := process.description
			found[i].Version, found[i].Artifacts = d.Version, slices.Clone(d.ArtifactKinds)
			found[i].Capabilities = slices.Clone(d.Capabilities)
		})
	}
	wg.Wait()
	return found
}

// Close ends every process, within two seconds: first asked, then killed, with
// whatever they started. Nothing can be started afterwards.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	slots := make([]*slot, 0, len(h.processes))
	for _, s := range h.processes {
		slots = append(slots, s)
	}
	dir := h.dir
	h.dir = nil
	h.mu.Unlock()
	h.close()
	hostsMu.Lock()
	delete(hosts, h)
	hostsMu.Unlock()

	var wg sync.WaitGroup
	for _, s := range slots {
		wg.Go(s.close)
	}
	wg.Wait()
	if dir != nil {
		dir.remove()
	}
}

// CloseAll closes every host of this process, for the end of main.
func CloseAll() {
	hostsMu.Lock()
	open := make([]*Host, 0, len(hosts))
	for h := range hosts {
		open = append(open, h)
	}
	hostsMu.Unlock()
	var wg sync.WaitGroup
	for _, h := range open {
		wg.Go(h.Close)
	}
	wg.Wait()
}

var errClosed = &deployer.Error{Code: deployer.CodePluginGone, Message: "the provider is ending, so no deployer is started any more"}

func (h *Host) slot(p program) *slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.processes[p.key()]
	if s == nil {
		s = &slot{program: p, mu: make(chan struct{}, 1)}
		h.processes[p.key()] = s
	}
	return s
}

// started gives the running process of a slot, starting it if there is none.
func (h *Host) started(ctx context.Context, s *slot) (*process, error) {
	select {
	case s.mu <- struct{}{}:
		defer func() { <-s.mu }()
	case <-ctx.Done():
		return nil, &deployer.Error{Code: deployer.CodeInterrupted, Step: "start", Message: "cancelled"}
	}
	if s.current != nil && s.current.alive() {
		return s.current, nil
	}
	if s.current != nil {
		s.current.close()
	}
	dir, err := h.directory()
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.closing, cancel)()
	process, err := start(starting, h, dir, s.program)
	if h.closing.Err() != nil {
		if err == nil {
			process.close()
		}
		return nil, errClosed
	}
	if err != nil {
		return nil, err
	}
	s.current = process
	return process, nil
}

// running gives the process of a slot only if it runs.
func (s *slot) running(ctx context.Context) (*process, error) {
	select {
	case s.mu <- struct{}{}:
		defer func() { <-s.mu }()
	case <-ctx.Done():
		return nil, &deployer.Error{Code: deployer.CodeInterrupted, Message: "cancelled"}
	}
	if s.current == nil {
		return nil, &deployer.Error{Code: deployer.CodePluginGone, Message: "the deployer " + s.program.name + " does not run"}
	}
	if !s.current.alive() {
		return nil, s.current.gone("")
	}
	return s.current, nil
}

func (s *slot) close() {
	// A start in progress has been cancelled, and gives its lock back soon.
	s.mu <- struct{}{}
	defer func() { <-s.mu }()
	if s.current != nil {
		s.current.close()
	}
}

// directory is made at the first start.
func (h *Host) directory() (*runDirectory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if h.dir == nil {
		dir, err := newRunDirectory()
		if err != nil {
			return nil, &deployer.Error{
				Code: deployer.CodeFailed, Step: "start", Message: err.Error(),
				Advice: "Set TMPDIR to a directory that can be written.",
			}
		}
		h.dir = dir
	}
	return h.dir, nil
}

func asError(err error, step string) *deployer.Error {
	var e *deployer.Error
	if errors.As(err, &e) {
		return e
	}
	return &deployer.Error{Code: deployer.CodeFailed, Step: step, Message: err.Error()}
}
