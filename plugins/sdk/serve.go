// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire"
)

// Serve is the whole of a deployer's main. It completes the core (see
// [deployer.Complete]), serves it to the program that started this one, and
// does not return.
//
//   - With the argument "describe" it prints the deployer's description as JSON
//     (see [DescriptionJSON]) and exits. Run by hand otherwise, it says what it
//     is.
//   - A step that changes something is never cut off by a signal or by the end
//     of the host: its context is cancelled, and the process waits, at most
//     [StopBudget], until the step has stopped where it is safe. SIGINT alone
//     cancels nothing: a terminal sends it to everybody, and the host decides.
//   - What is printed to standard output or error becomes log lines of the host,
//     and does no harm when nobody reads it any more.
//   - The directory of [deployer.ConfigureRequest] exists also when the host
//     gives none, and is removed at exit.
func Serve(core deployer.Core) {
	d := deployer.Complete(core)
	if len(os.Args) == 2 && os.Args[1] == "describe" {
		os.Exit(describeTo(os.Stdout, os.Stderr, d))
	}
	if os.Getenv(wire.Handshake.MagicCookieKey) != wire.Handshake.MagicCookieValue {
		os.Exit(introduce(os.Stderr, d))
	}
	g := newGuard()
	g.watchSignals()
	private := &withDirectory{Deployer: d}
	stderr := os.Stderr
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: wire.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{
			wire.ProtocolVersion: {wire.PluginName: &wire.Plugin{Deployer: private}},
		},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(append(options,
				grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage),
				grpc.ChainUnaryInterceptor(g.unary), grpc.ChainStreamInterceptor(g.stream))...)
			g.serving(server, func() { os.Stdout, os.Stderr = stderr, stderr })
			return server
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	g.drain()
	private.remove()
	removeSocketDirectory()
	os.Exit(0)
}

// StopBudget is how long a program that has to end waits for its running steps.
const StopBudget = 30 * time.Second

func describeTo(stdout, stderr io.Writer, d deployer.Deployer) int {
	description, err := d.Describe(context.Background())
	if err == nil {
		var text []byte
		if text, err = DescriptionJSON(description); err == nil {
			_, err = stdout.Write(append(text, '\n'))
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "describe:", err)
		return 1
	}
	return 0
}

func introduce(stderr io.Writer, d deployer.Deployer) int {
	program := filepath.Base(os.Args[0])
	what := "a deployer"
	if description, err := d.Describe(context.Background()); err == nil {
		what = fmt.Sprintf("the deployer %q, version %s,", description.Name, description.Version)
	}
	_, _ = fmt.Fprintf(stderr, `%s is %s of the Terraform provider tfdelivery/delivery.
The provider starts it when a deployment needs it; there is nothing to do with it by hand.

To see what it can do and how it is configured:

    %s describe
`, program, what, program)
	return 1
}

// withDirectory sees to the private directory.
type withDirectory struct {
	deployer.Deployer
	mu  sync.Mutex
	dir string
}

func (w *withDirectory) Configure(ctx context.Context, req deployer.ConfigureRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if req.Directory == "" {
		dir, err := os.MkdirTemp("", "delivery-")
		if err != nil {
			return deployer.Errorf(deployer.CodeFailed, "make a private directory: %v", err)
		}
		req.Directory = dir
	}
	w.dir = req.Directory
	return w.Deployer.Configure(ctx, req)
}

func (w *withDirectory) remove() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}

// removeSocketDirectory removes the directory that the host made for the
// socket, now empty: a host that was killed cannot.
func removeSocketDirectory() {
	if dir := os.Getenv(plugin.EnvUnixSocketDir); dir != "" {
		_ = os.Remove(dir)
	}
}
