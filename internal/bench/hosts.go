// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// fleetSize is how many hosts a deployment goes to.
const fleetSize = 20

// diskSize bounds a host's disk, which is in memory: real hosts do not share
// one, and a file system from which thousands of files were just deleted is slow
// to make new ones.
const diskSize = 2 << 30

// hosts are the machines of one scenario and how the tools reach them.
type hosts struct {
	user, keyFile, knownHosts string
	all                       []host
}

type host struct {
	name, ip string
	port     int
	key      string // the host's public key
	machine  *testrig.Host
}

func (h host) address() string { return net.JoinHostPort(h.ip, strconv.Itoa(h.port)) }

// direct reaches a fleet as it is.
func direct(f *testrig.Fleet) hosts {
	reached := hosts{user: f.User, keyFile: f.KeyFile, knownHosts: f.KnownHostsFile}
	for _, h := range f.Hosts {
		_, key, _ := strings.Cut(h.KnownHost(), " ")
		reached.all = append(reached.all, host{name: h.Name, ip: h.IP, port: h.Port, key: key, machine: h})
	}
	return reached
}

// distant reaches the same hosts over a long line of its own for each.
func (h hosts) distant(r *rig, roundTrip time.Duration) hosts {
	far := hosts{user: h.user, keyFile: h.keyFile, knownHosts: filepath.Join(r.TempDir(), "known_hosts")}
	var known strings.Builder
	for _, one := range h.all {
		near := testrig.NewDelayProxy(r, one.address(), roundTrip).Addr
		ip, port, _ := net.SplitHostPort(near)
		one.ip = ip
		one.port, _ = strconv.Atoi(port)
		fmt.Fprintf(&known, "[%s]:%d %s\n", one.ip, one.port, one.key)
		far.all = append(far.all, one)
	}
	if err := writeNew(far.knownHosts, []byte(known.String())); err != nil {
		r.Fatal(err)
	}
	return far
}

// first is the same fleet with n hosts.
func (h hosts) first(n int) hosts {
	h.all = h.all[:n]
	return h
}
