// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/internal/sshconn"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Validate implements [deployer.Validator].
func (d *Deployer) Validate(_ context.Context, req deployer.ValidateRequest) (deployer.Validation, error) {
	var v deployer.Validation
	diagnose := sdk.Diagnose[SSHTarget]
	if d.kind.local {
		diagnose = sdk.Diagnose[LocalTarget]
	}
	v.Diagnostics = diagnose(req.Target.Config)
	hosts, target, unknown, err := d.kind.decode(req.Target.Config)
	if err != nil {
		if len(v.Diagnostics) == 0 {
			return v, err
		}
		v.InstancesUnknown = true
		return v, nil
	}
	s := d.kind.settingsOf(hosts, target, unknown)
	v.Diagnostics = append(v.Diagnostics, s.judge(unknown)...)
	v.InstancesUnknown = !d.kind.local && (isUnknown(unknown) || isUnknown(unknown, "hosts"))
	for _, h := range s.hosts {
		i := deployer.DesiredInstance{ID: h.id, Scope: "hosts", Order: h.order, AddressUnknown: h.unknown || isUnknown(unknown) || isUnknown(unknown, "path")}
		if !h.unknown {
			i.Address = h.address
		}
		if !i.AddressUnknown {
			i.Place = s.place(h)
		}
		v.Instances = append(v.Instances, i)
	}
	return v, nil
}

// mostStopTimeout keeps a switch within the two minutes for which the next one on
// the same machine waits: stopping, killing and starting.
const mostStopTimeout = 90 * time.Second

func (k Kind) settingsOf(hosts map[string]string, target Target, unknown [][]string) *settings {
	s := &settings{Target: target, local: k.local}
	if clean := path.Clean(target.Path); target.Path != "" {
		s.Path = clean
	}
	for n, id := range slices.Sorted(maps.Keys(hosts)) {
		s.hosts = append(s.hosts, host{id: id, order: n, address: hosts[id], unknown: isUnknown(unknown, "hosts", id)})
	}
	s.installTimeout = duration(target.InstallTimeout, 10*time.Minute)
	if target.Service != nil {
		s.stopTimeout = duration(target.Service.StopTimeout, 10*time.Second)
	}
	return s
}

// place is where a deployment lives on a host, the same however the host's
// address is written.
func (s *settings) place(h host) string {
	address := strings.ToLower(h.address)
	if name, port, err := sshconn.SplitAddress(address, sshPort); err == nil && !s.local {
		if ip := net.ParseIP(name); ip != nil {
			name = ip.String()
		}
		address = strings.TrimSuffix(net.JoinHostPort(strings.TrimSuffix(name, "."), strconv.Itoa(port)), ":"+strconv.Itoa(sshPort))
	}
	return address + ":" + s.Path
}

const sshPort = 22

func duration(text string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	return otherwise
}

func isUnknown(unknown [][]string, at ...string) bool {
	return slices.ContainsFunc(unknown, func(u []string) bool { return slices.Equal(u, at) })
}

// judge finds what a schema cannot say.
func (s *settings) judge(unknown [][]string) []deployer.Diagnostic {
	var found []deployer.Diagnostic
	wrong := func(summary, detail string, at ...string) {
		found = append(found, deployer.Diagnostic{Path: at, Summary: summary, Detail: detail})
	}
	if isUnknown(unknown) {
		return nil
	}
	if !isUnknown(unknown, "path") {
		judgePath(s, wrong)
	}
	if !s.local {
		judgeHosts(s, wrong)
	}
	for n, name := range s.Shared {
		if isUnknown(unknown, "shared", strconv.Itoa(n)) {
			continue
		}
		at := []string{"shared", strconv.Itoa(n)}
		clean := strings.TrimSuffix(name, "/")
		if !localName(clean) {
			wrong(fmt.Sprintf("%q is no path within a release", name), "Give a relative path without . and .., such as uploads or var/data.", at...)
			continue
		}
		for _, other := range s.Shared[:n] {
			if o := strings.TrimSuffix(other, "/"); o == clean || strings.HasPrefix(clean+"/", o+"/") || strings.HasPrefix(o+"/", clean+"/") {
				wrong(fmt.Sprintf("%q and %q lie within each other", other, name), "Share the outer one only.", at...)
			}
		}
	}
	for n, command := range s.Install {
		if strings.TrimSpace(command) == "" && !isUnknown(unknown, "install", strconv.Itoa(n)) {
			wrong("the command is empty", "Remove it.", "install", strconv.Itoa(n))
		}
	}
	judgeService(s.Service, unknown, wrong)
	if s.stopTimeout > mostStopTimeout {
		wrong(fmt.Sprintf("the service has %s to stop, which is more than %s", s.stopTimeout, mostStopTimeout),
			"Whatever waits for a switch gives up before that. Let the service stop faster.", "service", "stop_timeout")
	}
	return found
}

type wrongFunc func(summary, detail string, at ...string)

func judgePath(s *settings, wrong wrongFunc) {
	switch {
	case strings.ContainsAny(s.Path, "\n\r\x00"):
		wrong("the path contains a control character", "", "path")
	case !s.local && !strings.HasPrefix(s.Path, "/"):
		wrong(fmt.Sprintf("%q is not absolute", s.Path), "Give an absolute path, such as /srv/api.", "path")
	case s.Path == "/" || s.Path == ".":
		wrong(fmt.Sprintf("%q cannot be the directory of one deployment", s.Path), "Give a directory of its own, such as /srv/api.", "path")
	}
}

func judgeHosts(s *settings, wrong wrongFunc) {
	seen := map[string]string{}
	for _, h := range s.hosts {
		if h.unknown {
			continue
		}
		_, _, err := sshconn.SplitAddress(h.address, sshPort)
		if err != nil {
			wrong(err.Error(), "Write it like 10.0.0.11, app-1.example.com or app-1.example.com:2222.", "hosts", h.id)
			continue
		}
		key := s.place(h)
		if other, twice := seen[key]; twice {
			wrong(fmt.Sprintf("%s and %s are the same host", other, h.id), "A host can carry a deployment once.", "hosts", h.id)
		}
		seen[key] = h.id
	}
}

func judgeService(service *Service, unknown [][]string, wrong wrongFunc) {
	if service == nil || isUnknown(unknown, "service") {
		return
	}
	hasCommand := strings.TrimSpace(service.Command) != "" || isUnknown(unknown, "service", "command")
	switch {
	case hasCommand && service.Commands != nil:
		wrong("command and commands exclude each other", "Give command for a supervised process, or commands to control what runs otherwise.", "service")
	case !hasCommand && service.Commands == nil && !isUnknown(unknown, "service", "commands"):
		wrong("the service has no command", "Give command or a commands block.", "service")
	}
}

// localName says whether a name stays within a directory and is not ours.
func localName(name string) bool {
	return name != "" && name == path.Clean(name) && !path.IsAbs(name) && name != "." && name != ".." &&
		!strings.HasPrefix(name, "../") && name != metaDir && !strings.HasPrefix(name, metaDir+"/") &&
		!strings.ContainsAny(name, "\x00\n\r")
}

// metaDir is the directory of ours in a deployment and in each of its releases.
const metaDir = ".delivery"
