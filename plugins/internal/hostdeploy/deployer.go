// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package hostdeploy deploys to machines with a file system and a shell: one
// body for the ssh and the local deployer, over a [Transport].
//
// On a machine, a deployment is one directory:
//
//	releases/<revision>/            the app's files, and in .delivery/ its
//	                                environment (0600), revision.json and scripts
//	shared/                         what all revisions share
//	current -> releases/<revision>  renamed over, so it is the old or the new
//	.delivery/                      0700: ledger, owner, locks, run, log
//
// One shell per connection is fed calls line by line (script/), so that a step
// is one round trip. What has begun to switch finishes by itself, also when the
// connection is lost. Nothing but sh and the usual small programs is needed
// there.
package hostdeploy

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/internal/sshconn"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Kind is what distinguishes the ssh from the local deployer.
type Kind struct {
	name  string
	local bool
}

// The kinds.
var (
	SSH   = Kind{name: "ssh"}
	Local = Kind{name: "local", local: true}
)

// Deployer implements every part of the contract that hosts can have.
type Deployer struct {
	kind    Kind
	version string

	mu        sync.Mutex
	transport Transport
	directory string
	machines  map[string]*machine
	known     map[string]*settings // by configuration
	payloads  payloads
}

var (
	_ deployer.Core          = (*Deployer)(nil)
	_ deployer.Configurer    = (*Deployer)(nil)
	_ deployer.Validator     = (*Deployer)(nil)
	_ deployer.Previewer     = (*Deployer)(nil)
	_ deployer.Locker        = (*Deployer)(nil)
	_ deployer.Preparer      = (*Deployer)(nil)
	_ deployer.Checker       = (*Deployer)(nil)
	_ deployer.Recorder      = (*Deployer)(nil)
	_ deployer.Pruner        = (*Deployer)(nil)
	_ deployer.LogReader     = (*Deployer)(nil)
	_ deployer.CommandRunner = (*Deployer)(nil)
)

// New makes a deployer of a kind. The version is that of the program.
func New(kind Kind, version string) *Deployer {
	return &Deployer{kind: kind, version: version, machines: map[string]*machine{}, known: map[string]*settings{}}
}

// Describe implements [deployer.Core].
func (d *Deployer) Describe(context.Context) (deployer.Description, error) {
	about := deployer.Description{
		Name: d.kind.name, Version: d.version,
		Capabilities: []deployer.Capability{
			deployer.CanValidate, deployer.CanLock, deployer.CanPrepare, deployer.CanCheck, deployer.CanRecord,
			deployer.CanPrune, deployer.CanLogs, deployer.CanRun, deployer.CanPreview, deployer.Atomic,
		},
		ArtifactKinds: []string{deployer.MediaTypeArchive},
	}
	if d.kind.local {
		about.TargetSchema = sdk.SchemaOf[LocalTarget]()
	} else {
		about.ConnectionSchema, about.TargetSchema = sdk.SchemaOf[sshconn.Config](), sdk.SchemaOf[SSHTarget]()
	}
	return about, nil
}

// Configure implements [deployer.Configurer].
func (d *Deployer) Configure(_ context.Context, req deployer.ConfigureRequest) error {
	var transport Transport = locally{}
	if !d.kind.local {
		config, err := sdk.Decode[sshconn.Config](req.Connection)
		if err != nil {
			return err
		}
		dialer, err := sshconn.New(config)
		if err != nil {
			return err
		}
		transport = overSSH{dialer}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.transport != nil {
		return deployer.Errorf(deployer.CodeInvalid, "the deployer is configured already")
	}
	d.transport, d.directory = transport, req.Directory
	return nil
}

// Close ends all connections and removes temporary files.
func (d *Deployer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.machines {
		m.close()
	}
	d.payloads.close()
	if d.transport == nil {
		return nil
	}
	return d.transport.Close()
}

// site is a deployment on one machine: an instance.
type site struct {
	host
	*settings
	machine *machine
	root    string
	place   string
	desired bool
}

// sites lists the instances of a target, then those of the previous one that
// are at other places.
func (d *Deployer) sites(target deployer.Target, previous *deployer.Target) ([]*site, error) {
	all, err := d.sitesOf(target, true)
	if err != nil || previous == nil {
		return all, err
	}
	before, err := d.sitesOf(*previous, false)
	if err != nil {
		return nil, err
	}
	for _, s := range before {
		if !slices.ContainsFunc(all, func(have *site) bool { return have.place == s.place }) {
			all = append(all, s)
		}
	}
	return all, nil
}

func (d *Deployer) sitesOf(target deployer.Target, desired bool) ([]*site, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.transport == nil {
		return nil, deployer.Errorf(deployer.CodeInvalid, "the deployer was not configured")
	}
	s := d.known[string(target.Config)]
	if s == nil {
		var err error
		if s, err = d.kind.read(target.Config); err != nil {
			return nil, err
		}
		if len(d.known) > 64 {
			clear(d.known)
		}
		d.known[string(target.Config)] = s
	}
	root := s.Path
	if d.kind.local {
		var err error
		if root, err = filepath.Abs(filepath.FromSlash(root)); err != nil {
			return nil, deployer.Errorf(deployer.CodeFailed, "the working directory is not known: %v", err)
		}
	}
	var sites []*site
	for _, h := range s.hosts {
		m := d.machines[strings.ToLower(h.address)]
		if m == nil {
			m = newMachine(d.transport, h.address)
			d.machines[strings.ToLower(h.address)] = m
		}
		sites = append(sites, &site{host: h, settings: s, machine: m, root: root, place: s.place(h), desired: desired})
	}
	return sites, nil
}

// site finds one instance.
func (d *Deployer) site(target deployer.Target, id string) (*site, error) {
	sites, err := d.sitesOf(target, true)
	if err != nil {
		return nil, err
	}
	for _, s := range sites {
		if s.id == id {
			return s, nil
		}
	}
	return nil, &deployer.Error{Code: deployer.CodeInvalid, Instance: id, Message: "the target has no such instance"}
}

// ask and tell make a call about this deployment; see [machine].
func (s *site) ask(ctx context.Context, function string, args ...string) (answer, error) {
	line, err := callLine(function, append([]string{s.root}, args...)...)
	if err != nil {
		return answer{}, s.fault("", err)
	}
	return s.judged(s.machine.ask(ctx, call{line: line}))
}

func (s *site) tell(ctx context.Context, c call, function string, args ...string) (answer, error) {
	line, err := callLine(function, append([]string{s.root}, args...)...)
	if err != nil {
		return answer{}, s.fault("", err)
	}
	c.line, c.silence = line, cmp.Or(c.silence, s.installTimeout+s.stopTimeout+longestSilence)
	return s.judged(s.machine.tell(ctx, c))
}

// fault names the instance and the step in an error.
func (s *site) fault(step string, err error) error {
	if err == nil {
		return nil
	}
	e := *deployer.AsError(err)
	if e.Instance == "" {
		e.Instance = s.id
	}
	if e.Step == "" {
		e.Step = step
	}
	if errors.Is(err, errLost) {
		return &lostError{&e}
	}
	return &e
}

// each does something at all sites at once and gives the errors, in order.
func each(sites []*site, do func(n int, s *site) error) []error {
	errs := make([]error, len(sites))
	var wg sync.WaitGroup
	for n, s := range sites {
		wg.Go(func() { errs[n] = do(n, s) })
	}
	wg.Wait()
	return errs
}

// firstOf gives the error to report of several instances: the first one, with
// the others' names and reasons.
func firstOf(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(rank(a), rank(b)) })
	e := *deployer.AsError(errs[0])
	for _, other := range errs[1:] {
		e.Message += "; " + deployer.AsError(other).Error()
	}
	return &e
}

// rank puts what decides before what only disturbs.
func rank(err error) int {
	switch deployer.CodeOf(err) {
	case deployer.CodeLocked, deployer.CodeFenced, deployer.CodeNotOwner:
		return 0
	case deployer.CodeUnreachable:
		return 2
	}
	return 1
}
