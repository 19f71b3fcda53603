// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/internal/release"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Data is what the provider block gives to resources and data sources. Making
// one connects to nothing and starts nothing; a store is opened and a deployer
// started when first needed.
type Data struct {
	// StoreLocation is a directory, absolute, or a registry's repository.
	StoreLocation string
	Registries    []store.RegistryCredential
	Git           []source.Credentials
	Secrets       map[string]string // that stages ask for by name
	Redactor      *Redactor         // knows every secret of the provider block
	Logger        hclog.Logger

	// Plugins is what the plugin host is made from: connections by deployer,
	// custom deployers, and where to look for the others.
	Plugins pluginhost.Options

	// Unknown says which arguments of the provider block are not known yet,
	// such as an address that this same apply will create.
	Unknown Unknown

	processes    *Processes
	memory       releaseMemory
	observations observations

	storeOnce sync.Once
	store     store.Store
	storeErr  error

	hostOnce sync.Once
	host     *pluginhost.Host
}

// Unknown names arguments of the provider block with values that are not
// known at plan. Read of whatever needs one of them returns the state as it is.
type Unknown struct {
	Store   bool // store or registry
	Git     bool
	Secrets bool
	SSH     bool
	Plugins bool // custom deployers
}

// Store opens the store, once.
func (d *Data) Store(context.Context) (store.Store, error) {
	d.storeOnce.Do(func() {
		d.store, d.storeErr = store.Open(store.Config{
			Location:    d.StoreLocation,
			Credentials: d.Registries,
		})
	})
	return d.store, d.storeErr
}

// Releases makes releases with what the provider block gives.
func (d *Data) Releases() *release.Service {
	return &release.Service{
		Store:       d.Store,
		Credentials: d.Git,
		Secrets:     d.Secrets,
		Log:         func(line string) { d.Logger.Debug(line) },
	}
}

// Host is the plugin host of this provider configuration. It has started no
// deployer until one is asked for.
func (d *Data) Host() *pluginhost.Host {
	d.hostOnce.Do(func() {
		d.host = pluginhost.New(d.Plugins)
		d.processes.add(d.host)
	})
	return d.host
}

// Deployer gives a deployer by name, started and configured. A program of the
// provider's package that takes another configuration than the provider has in
// its schema is refused: part of what the user wrote would be lost on the way.
func (d *Data) Deployer(ctx context.Context, name string) (deployer.Deployer, error) {
	found, err := d.Host().Deployer(ctx, name)
	if err != nil {
		return nil, err
	}
	known, isBundled := bundled[name]
	if !isBundled {
		return found, nil
	}
	description, err := found.Describe(ctx)
	if err != nil {
		return nil, err
	}
	if !known.match(description) {
		e := deployer.Errorf(deployer.CodeInvalid, "the deployer %q (version %s) does not belong to this provider: it is configured in another way", name, description.Version)
		e.Advice = "Install the provider again, whole. If " + pluginhost.DirectoryVariable + " is set, it has to name the deployers of the same version"
		return nil, e
	}
	return found, nil
}

// UnknownFor says whether a deployer's connection is not known yet.
func (d *Data) UnknownFor(name string) bool {
	switch name {
	case "local":
		return false
	case "ssh":
		return d.Unknown.SSH
	default:
		// A custom deployer may declare that it uses the ssh block.
		return d.Unknown.Plugins || d.Unknown.SSH
	}
}

// newLogger writes what TF_LOG asks for, in the form that Terraform reads, with
// no known secret in it.
func newLogger(r *Redactor) hclog.Logger {
	level := hclog.Off
	for _, name := range []string{"TF_LOG", "TF_LOG_PROVIDER"} {
		if asked := hclog.LevelFromString(os.Getenv(name)); asked != hclog.NoLevel {
			level = asked
		} else if os.Getenv(name) == "JSON" {
			level = hclog.Trace
		}
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: "delivery", Level: level, JSONFormat: true, Output: redactingWriter{os.Stderr, r},
	})
}

type redactingWriter struct {
	to io.Writer
	r  *Redactor
}

func (w redactingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, w.r.Redact(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// emptyConnection is the configuration of a deployer without one.
var emptyConnection = json.RawMessage("{}")

// Processes owns every process that a provider starts, over all its
// configurations. Whoever serves the provider closes it before returning,
// since a plugin left behind would go on under init.
type Processes struct {
	mu     sync.Mutex
	hosts  []*pluginhost.Host
	closed bool
}

// Close stops every process, and any that would be started later at once.
func (p *Processes) Close() {
	p.mu.Lock()
	hosts := p.hosts
	p.hosts, p.closed = nil, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, host := range hosts {
		wg.Go(func() { host.Close() })
	}
	wg.Wait()
}

func (p *Processes) add(host *pluginhost.Host) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.hosts = append(p.hosts, host)
	}
	p.mu.Unlock()
	if closed {
		host.Close()
	}
}

// storeKnown says, to a data source, whether the store can be read now; without
// it, it tells what cannot be done.
func (data *Data) storeKnown(d Diagnostics, without string) bool {
	if data.Unknown.Store {
		d.Invalid(path.Root("pipeline"), "The store is not known yet",
			"The provider's store or registry depends on something that is made by this same apply, so "+without+". "+
				"Apply what it depends on first, or let the data source depend on it (depends_on), so that it is read at apply.")
	}
	return !data.Unknown.Store
}
