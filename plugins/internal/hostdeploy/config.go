// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"encoding/json"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// SSHTarget is the target configuration of the ssh deployer.
type SSHTarget struct {
	Hosts map[string]string `json:"hosts" doc:"Hosts by a name of your choice that stays, as host or host:port." delivery:"target,required,format=hostport"`
	Target
}

// LocalTarget is the target configuration of the local deployer.
type LocalTarget struct {
	Target
}

// Target is what both have in common.
type Target struct {
	Path           string   `json:"path" doc:"Directory of this deployment alone, on each host. It gets releases/, shared/ and current, a link to the release that runs." delivery:"target,required,format=path"`
	Shared         []string `json:"shared,omitempty" doc:"Files and directories, relative to the release, that all revisions share. What a release ships of them is their first content."`
	Install        []string `json:"install,omitempty" doc:"Commands that run in a new release, with its environment, before it is used."`
	InstallTimeout string   `json:"install_timeout,omitempty" doc:"Time for each install command." default:"10m" delivery:"format=duration"`
	KeepReleases   int      `json:"keep_releases,omitempty" doc:"How many revisions to keep on each host. The one that runs and the last good one are always kept." default:"5" delivery:"target,min=1"`
	Service        *Service `json:"service,omitempty" doc:"What runs. Without it, a deployment is only files."`
}

// Service says what runs, and how it is stopped.
type Service struct {
	Command     string    `json:"command,omitempty" doc:"Shell command that runs in the foreground, in the release, with its environment. It is supervised: started again when it ends. This or commands."`
	StopSignal  string    `json:"stop_signal,omitempty" doc:"Signal that asks the command, with all its processes, to end." default:"TERM" delivery:"pattern=^(SIG)?(TERM|INT|QUIT|HUP|USR1|USR2|KILL)$"`
	StopTimeout string    `json:"stop_timeout,omitempty" doc:"Time to end in, after which it is killed." default:"10s" delivery:"format=duration"`
	Commands    *Commands `json:"commands,omitempty" doc:"Commands of your own that control the service, which run in the release with its environment."`
}

// Commands control a service that something else runs.
type Commands struct {
	Start   string `json:"start" doc:"Starts the service and returns." delivery:"required"`
	Stop    string `json:"stop" doc:"Stops the service and returns when it has stopped." delivery:"required"`
	Restart string `json:"restart,omitempty" doc:"Makes a running service change to the release that current names. Default: stop, then start."`
	Status  string `json:"status" doc:"Ends with status 0 while the service runs." delivery:"required"`
}

// settings is a target configuration, read.
type settings struct {
	Target
	local          bool
	hosts          []host // sorted by id
	installTimeout time.Duration
	stopTimeout    time.Duration
}

// host is one instance.
type host struct {
	id      string
	order   int
	address string
	unknown bool // the address
}

const localHost = "local"

// read reads a target configuration that has no unknown values.
func (k Kind) read(raw json.RawMessage) (*settings, error) {
	hosts, target, unknown, err := k.decode(raw)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, &deployer.Error{Code: deployer.CodeInvalid, Path: unknown[0], Message: "the value is not known yet"}
	}
	s := k.settingsOf(hosts, target, nil)
	for _, d := range s.judge(nil) {
		if !d.Warning {
			return nil, &deployer.Error{Code: deployer.CodeInvalid, Path: d.Path, Message: d.Summary, Advice: d.Detail}
		}
	}
	return s, nil
}

func (k Kind) decode(raw json.RawMessage) (map[string]string, Target, [][]string, error) {
	if k.local {
		t, unknown, err := sdk.DecodeUnknown[LocalTarget](raw)
		return map[string]string{localHost: localHost}, t.Target, unknown, err
	}
	t, unknown, err := sdk.DecodeUnknown[SSHTarget](raw)
	return t.Hosts, t.Target, unknown, err
}
