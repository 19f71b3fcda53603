// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire"
)

const (
	closeGrace = time.Second             // for a program that was asked to end
	closeLimit = 1800 * time.Millisecond // Terraform waits two seconds for all of it
	exitWait   = time.Second             // from a broken connection to the end of its process
)

// process is one running program.
type process struct {
	program     program
	logger      hclog.Logger
	client      *plugin.Client
	runner      *programRunner
	wire        *wire.Client
	description deployer.Description
	dir         string
	endAttend   context.CancelFunc

	configuring sync.Mutex
	configured  bool

	mu   sync.Mutex
	hung time.Duration // silence for which it was killed; 0: it was not
}

// start runs a program up to its description.
func start(ctx context.Context, h *Host, run *runDirectory, p program) (_ *process, err error) {
	dir, err := run.sub()
	if err != nil {
		return nil, asError(fmt.Errorf("start deployer %q: %w", p.name, err), "start")
	}
	path := p.path
	if p.custom {
		if path, err = verifiedCopy(p, dir); err != nil {
			_ = os.RemoveAll(dir)
			return nil, err
		}
	}
	x := &process{program: p, dir: dir, logger: h.logger.Named(p.name), endAttend: func() {}}
	x.runner = newRunner(exec.Command(path))
	x.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{wire.ProtocolVersion: {wire.PluginName: &wire.Plugin{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     h.options.StartTimeout,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		Logger:           x.logger,
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
		},
		RunnerFunc: func(_ hclog.Logger, handshake *exec.Cmd, _ string) (runner.Runner, error) {
			x.runner.cmd.Env = append(environment(h.options.Environment, p), handshake.Env...)
			return x.runner, nil
		},
	})
	// go-plugin's start takes no context: a cancelled one kills the program.
	unhook := context.AfterFunc(ctx, func() { _ = x.runner.Kill(ctx) })
	defer unhook()
	err = x.connect(ctx, h.options)
	if err != nil {
		failed := x.notStarted(ctx, err)
		x.close()
		return nil, failed
	}
	return x, nil
}

func (x *process) connect(ctx context.Context, options Options) error {
	protocol, err := x.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(wire.PluginName)
	if err != nil {
		return err
	}
	x.wire = raw.(*wire.Client)
	asking, cancel := context.WithTimeout(ctx, options.StartTimeout)
	defer cancel()
	if x.description, err = x.wire.Describe(asking); err != nil {
		return err
	}
	if name := x.description.Name; name != x.program.name && !x.program.custom {
		return fmt.Errorf("it says that it is the deployer %q", name)
	}
	attending, endAttend := context.WithCancel(context.Background())
	x.endAttend = endAttend
	go x.attend(attending, options.HangTimeout)
	return nil
}

// attend holds the heartbeat, and kills a program that has fallen silent.
func (x *process) attend(ctx context.Context, silence time.Duration) {
	watchdog := time.AfterFunc(silence, func() {
		if ctx.Err() != nil {
			return
		}
		x.mu.Lock()
		x.hung = silence
		x.mu.Unlock()
		x.logger.Error("the deployer has stopped answering and is killed", "silence", silence.String())
		_ = x.runner.Kill(ctx)
	})
	defer watchdog.Stop()
	err := x.wire.Attend(ctx, func() { watchdog.Reset(silence) })
	if deployer.CodeOf(err) == deployer.CodeUnsupported {
		x.logger.Warn("this deployer has no heartbeat: nothing notices when it hangs")
	}
}

// configure hands the connection configuration over, once.
func (x *process) configure(ctx context.Context, h *Host) error {
	x.configuring.Lock()
	defer x.configuring.Unlock()
	if x.configured {
		return nil
	}
	private := filepath.Join(x.dir, "d")
	if err := os.Mkdir(private, 0o700); err != nil && !os.IsExist(err) {
		return asError(err, "configure")
	}
	req := deployer.ConfigureRequest{Connection: h.connection(x.program), Directory: private}
	if x.description.Can(deployer.SSHConnection) {
		req.SSH = orEmpty(h.options.Connections["ssh"])
	}
	if err := x.wire.Configure(ctx, req); err != nil {
		return err
	}
	x.configured = true
	return nil
}

func (h *Host) connection(p program) json.RawMessage {
	if p.custom {
		for _, c := range h.options.Custom {
			if c.Name == p.name {
				return orEmpty(c.Config)
			}
		}
	}
	return orEmpty(h.options.Connections[p.name])
}

func orEmpty(config json.RawMessage) json.RawMessage {
	if len(config) == 0 {
		return json.RawMessage("{}")
	}
	return config
}

func (x *process) alive() bool { return x.runner.how() == "" }

// waitExit waits a moment for the end of a process whose connection broke.
func (x *process) waitExit() {
	wait := time.NewTimer(exitWait)
	defer wait.Stop()
	select {
	case <-x.runner.exited:
	case <-wait.C:
	}
}

// gone says how a program ended during a call, with its last words.
func (x *process) gone(call string) *deployer.Error {
	x.waitExit()
	x.mu.Lock()
	hung := x.hung
	x.mu.Unlock()
	e := &deployer.Error{Code: deployer.CodePluginGone, Step: strings.ToLower(call), Log: x.runner.tail.last()}
	how := x.runner.how()
	switch {
	case hung > 0:
		e.Message = fmt.Sprintf("the deployer %s did not answer for %s and was killed", x.program.name, hung)
	case how == "":
		e.Message = fmt.Sprintf("the deployer %s closed its connection", x.program.name)
	default:
		e.Message = fmt.Sprintf("the deployer %s crashed (%s)", x.program.name, how)
	}
	e.Advice = "The next plan shows what really runs. If it happens again, report it to the authors of the deployer."
	return e
}

// notStarted explains why a program did not become a deployer.
func (x *process) notStarted(ctx context.Context, err error) error {
	timedOut := strings.Contains(err.Error(), "timeout while waiting for plugin to start")
	first := x.runner.handshake()
	if first == "" && x.runner.cmd.Process != nil {
		x.waitExit()
	}
	e := &deployer.Error{Code: deployer.CodeFailed, Step: "start", Log: x.runner.tail.last()}
	how := x.runner.how()
	switch version := offeredVersion(first); {
	case ctx.Err() != nil:
		e.Code, e.Message = deployer.CodeInterrupted, "cancelled"
	case x.runner.cmd.Process == nil:
		e.Message = fmt.Sprintf("%s does not run: %v", x.program.path, err)
		e.Advice = "It has to be an executable program for this system, in a directory that allows programs to run."
	case version > 0 && version != wire.ProtocolVersion:
		e.Message = fmt.Sprintf("%s speaks version %d of the deployer protocol, and this provider speaks version %d",
			x.program.path, version, wire.ProtocolVersion)
		e.Advice = "Install a version of the deployer that was made for this provider, or the other way round."
	case first != "" && version == 0:
		e.Message = fmt.Sprintf("%s is no deployer: it began with %q", x.program.path, shorten(first))
	case timedOut:
		e.Message = fmt.Sprintf("%s did not answer in time", x.program.path)
	case first == "":
		e.Message = fmt.Sprintf("%s ended at once (%s)", x.program.path, how)
	default:
		e.Message = fmt.Sprintf("%s did not start as a deployer: %s", x.program.path, asError(err, "").Message)
	}
	return e
}

// offeredVersion reads the protocol version out of go-plugin's handshake; 0: it
// is none.
func offeredVersion(handshake string) int {
	parts := strings.Split(handshake, "|")
	if len(parts) < 4 {
		return 0
	}
	version, err := strconv.Atoi(parts[1])
	if err != nil || parts[0] != strconv.Itoa(plugin.CoreProtocolVersion) {
		return 0
	}
	return version
}

func shorten(line string) string {
	const longest = 120
	if len(line) > longest {
		return strings.ToValidUTF8(line[:longest], "") + "…"
	}
	return line
}

// close ends the program: asked first, killed after closeGrace.
func (x *process) close() {
	x.endAttend()
	killer := time.AfterFunc(closeGrace, func() { _ = x.runner.Kill(context.Background()) })
	defer killer.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.client.Kill()
		if x.runner.cmd.Process != nil {
			<-x.runner.exited
		}
		_ = os.RemoveAll(x.dir)
	}()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	}
}
