// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// locally is the machine that this process runs on.
type locally struct{}

func (locally) Connect(context.Context, string) (Conn, error) {
	if runtime.GOOS == "windows" {
		return nil, &deployer.Error{
			Code: deployer.CodeUnsupported, Step: "connect",
			Message: "the local deployer needs a POSIX system, and this is Windows",
			Advice:  "Run Terraform in WSL, or deploy to a host over SSH.",
		}
	}
	return &thisMachine{done: make(chan struct{})}, nil
}

func (locally) Close() error { return nil }

type thisMachine struct {
	once sync.Once
	done chan struct{}
}

// inherited are the variables that a service on this machine gets from the
// environment of Terraform; nothing else of it, which may be secret.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}

// Start runs the command in a session of its own, which the keyboard of the
// terminal does not reach.
func (m *thisMachine) Start(_ context.Context, command string) (Session, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	inSession(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A pipe of our own: exec's would be closed by Wait while it is still read.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, deployer.Errorf(deployer.CodeFailed, "cannot start /bin/sh: %s", strings.TrimPrefix(err.Error(), "fork/exec "))
	}
	go func() { _ = cmd.Wait() }()
	s := &localSession{stdin: stdin, out: out}
	go func() {
		<-m.done
		_ = s.Close()
	}()
	return s, nil
}

func (m *thisMachine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (m *thisMachine) Latency() time.Duration { return 0 }

func (m *thisMachine) Done() <-chan struct{} { return m.done }

func (m *thisMachine) Close() error {
	m.once.Do(func() { close(m.done) })
	return nil
}

type localSession struct {
	stdin interface {
		Write([]byte) (int, error)
		Close() error
	}
	out *os.File
}

func (s *localSession) Read(p []byte) (int, error)  { return s.out.Read(p) }
func (s *localSession) Write(p []byte) (int, error) { return s.stdin.Write(p) }

func (s *localSession) Close() error {
	_ = s.stdin.Close()
	return s.out.Close()
}
