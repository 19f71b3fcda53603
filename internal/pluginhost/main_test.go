// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package pluginhost_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire"
)

// The test program is also every program that the tests start: what it does is
// in the name under which it is called.
func TestMain(m *testing.M) {
	name, isPlugin := strings.CutPrefix(filepath.Base(os.Args[0]), pluginhost.Prefix)
	switch {
	case !isPlugin && len(os.Args) > 1 && os.Args[1] == "host":
		beHost(os.Args[2], os.Args[3])
	case !isPlugin:
		os.Exit(m.Run())
	}
	switch name {
	case "greeter":
		fmt.Println("Hello, I am no plugin.")
	case "quitter":
		fmt.Fprintln(os.Stderr, "cannot find my libraries")
		os.Exit(3)
	case "sleeper":
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end
		os.Exit(1)
	case "newer":
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig:  wire.Handshake,
			VersionedPlugins: map[int]plugin.PluginSet{7: {wire.PluginName: &wire.Plugin{Deployer: deployer.Complete(&obedient{})}}},
			GRPCServer:       plugin.DefaultGRPCServer,
		})
	default:
		sdk.Serve(&obedient{name: name})
	}
}

// beHost is a host in a process of its own: it starts a step that lasts, and
// waits to be killed.
func beHost(dir, address string) {
	signal.Ignore(syscall.SIGINT)
	h := pluginhost.New(pluginhost.Options{Directories: []string{dir}})
	d, err := h.Deployer(context.Background(), "worker")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, err = d.Activate(context.Background(), order{Do: "block", Address: address}.activate(), nil)
	fmt.Println("activated:", err)
	select {}
}

// order is what a test tells the obedient deployer to do, as target config.
type order struct {
	Do      string `json:"do"`
	Address string `json:"address,omitempty"`
	File    string `json:"file,omitempty"`
	Count   int    `json:"count,omitempty"`
}

func (o order) target() deployer.Target {
	config, _ := json.Marshal(o)
	return deployer.Target{Environment: "test", Deployment: "x", Config: config}
}

func (o order) activate() deployer.ActivateRequest {
	return deployer.ActivateRequest{Mutation: deployer.Mutation{Target: o.target(), Instance: "one"}, RevisionID: "r1"}
}

// obedient does what its target configuration says.
type obedient struct {
	name       string
	configured deployer.ConfigureRequest
}

func (o *obedient) Describe(context.Context) (deployer.Description, error) {
	return deployer.Description{
		Name: o.name, Version: "1.2.3", Capabilities: []deployer.Capability{deployer.SSHConnection},
		ArtifactKinds: []string{deployer.MediaTypeArchive},
	}, nil
}

func (o *obedient) Configure(_ context.Context, req deployer.ConfigureRequest) error {
	o.configured = req
	return nil
}

// Inspect answers with the process id as owner and the environment as drift.
func (o *obedient) Inspect(_ context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	var todo order
	_ = json.Unmarshal(req.Target.Config, &todo)
	switch todo.Do {
	case "crash once":
		if os.Mkdir(todo.File, 0o700) == nil {
			fmt.Fprintln(os.Stderr, "out of luck")
			os.Exit(2)
		}
	case "crash":
		panic2("always")
	}
	var drift []deployer.Drift
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		drift = append(drift, deployer.Drift{What: name, Actual: value})
	}
	exe, _ := os.Executable()
	return deployer.TargetState{
		Owner: strconv.Itoa(os.Getpid()),
		Instances: []deployer.Instance{{
			ID: "one", Address: o.configured.Directory, Place: exe, Drift: drift,
			Parts: []deployer.Part{{Name: string(o.configured.Connection), Detail: string(o.configured.SSH)}},
		}},
	}, nil
}

// panic2 crashes the process, not just the call.
func panic2(why string) {
	go panic(why)
	select {}
}

func (o *obedient) Activate(ctx context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	var todo order
	if err := json.Unmarshal(req.Target.Config, &todo); err != nil {
		return deployer.Result{}, err
	}
	switch todo.Do {
	case "block":
		return block(ctx, todo.Address)
	case "crash":
		fmt.Fprintln(os.Stderr, "the disk is on fire")
		panic2("burnt")
	case "panic":
		panic("a mistake")
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	case "ignore":
		events(deployer.Event{Phase: "ignoring"})
		select {}
	case "flood stderr":
		for i := range todo.Count {
			fmt.Fprintf(os.Stderr, "line %d\n", i)
		}
	case "flood events":
		for i := range todo.Count {
			events(deployer.Event{Line: strconv.Itoa(i)})
		}
	case "leave child":
		child := exec.Command("sleep", "1000")
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			return deployer.Result{}, err
		}
		events(deployer.Event{Line: strconv.Itoa(child.Process.Pid)})
		os.Exit(4)
	}
	return deployer.Result{Runs: req.RevisionID}, nil
}

// block reports over a connection of its own, whose end is the end of the
// process, and does nothing until it is told to or cancelled.
func block(ctx context.Context, address string) (deployer.Result, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return deployer.Result{}, err
	}
	fmt.Fprintf(conn, "begun %d %s\n", os.Getpid(), os.Getenv(plugin.EnvUnixSocketDir))
	told := make(chan string)
	go func() {
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			told <- lines.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			// Nobody may read these any more, and the step must not die of it.
			for range 100 {
				fmt.Println("still printing")
				fmt.Fprintln(os.Stderr, "still logging")
			}
			fmt.Fprintln(conn, "stopped safely")
			return deployer.Result{}, deployer.Errorf(deployer.CodeInterrupted, "stopped safely")
		case word := <-told:
			if word == "finish" {
				return deployer.Result{Runs: "r1"}, nil
			}
			fmt.Fprintln(conn, word)
		}
	}
}

func (o *obedient) Remove(context.Context, deployer.RemoveRequest, deployer.EventSink) (deployer.Result, error) {
	return deployer.Result{}, nil
}
