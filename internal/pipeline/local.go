// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/process"
)

// stopGrace is how long a stage has to end by itself when its time is over.
const stopGrace = 10 * time.Second

// LocalRunner runs stages on this machine. Each command is a shell of its own
// ("sh -c", on Windows "cmd /C") that begins in the workspace, so a "cd" or
// "export" lasts for its command only. When a command ends, whatever it
// started ends too; after a timeout or a cancel everything has ten seconds to
// end before it is killed.
type LocalRunner struct{}

var _ Runner = LocalRunner{}

// RunStage implements Runner.
func (LocalRunner) RunStage(ctx context.Context, run StageRun, output io.Writer) (Exit, error) {
	env := environ(run.Environment, run.Secrets)
	for _, command := range run.Commands {
		if _, err := fmt.Fprintf(output, "$ %s\n", command); err != nil {
			return Exit{}, err
		}
		cmd := shell(command)
		cmd.Dir, cmd.Env = run.Workspace, env
		cmd.Stdout, cmd.Stderr = output, output
		err := process.Run(ctx, cmd, process.Options{Grace: stopGrace, Sweep: true})
		if cause := context.Cause(ctx); cause != nil {
			return Exit{Code: -1, Command: command}, cause
		}
		code, ok := process.ExitCode(err)
		if !ok {
			return Exit{Code: -1, Command: command}, fmt.Errorf("run %q: %w", command, err)
		}
		if code != 0 {
			return Exit{Code: code, Command: command}, nil
		}
	}
	return Exit{}, nil
}

func environ(groups ...map[string]string) []string {
	all := map[string]string{}
	for _, group := range groups {
		maps.Copy(all, group)
	}
	list := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// inherited are the variables of our own environment that stages get: where
// programs, caches and proxies are. Everything else a stage asks for.
var inherited = []string{"PATH", "HOME", "LANG", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}

// inheritedWindows are those without which programs do not start on Windows.
var inheritedWindows = []string{"SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
	"ProgramData", "ProgramFiles", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE"}

// environment is what a stage sees, without its secrets.
func environment(d Definition, s Stage, o Options, temp string) map[string]string {
	env := map[string]string{"LANG": "C.UTF-8"}
	names := inherited
	if runtime.GOOS == "windows" {
		names = slices.Concat(inherited, inheritedWindows)
	}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	maps.Copy(env, map[string]string{
		"CI": "true", "TMPDIR": temp, "TEMP": temp, "TMP": temp,
		"DELIVERY_PIPELINE": d.Name, "DELIVERY_STAGE": s.Name, "DELIVERY_COMMIT": o.Commit, "DELIVERY_VERSION": o.Version,
	})
	maps.Copy(env, s.EnvironmentVariables)
	return env
}

// errTimeout is the cause of a context whose stage ran out of time.
var errTimeout = errors.New("the stage's timeout is over")
