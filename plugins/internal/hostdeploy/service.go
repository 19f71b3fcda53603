// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// freshExit is how long after a service ended once it is taken to be failing,
// though it was started again.
const freshExit = 60 * time.Second

// service is what a machine says about a deployment's service.
type service struct {
	wanted     string // revision that should run
	kind       string // "" is none, "supervised" or "commands"
	supervised bool   // its supervisor lives
	runs       string // revision of the process that lives; "" is none
	since      time.Time
	exits      int // since it was activated
	status     int // of the last one
	exitAge    time.Duration
	up         bool // what the status command says
	told       bool // there was a status command
}

func parseService(ans answer) service {
	var v service
	for _, f := range ans.fields {
		words := strings.Fields(f.value)
		word := func(n int) string {
			if n < len(words) {
				return words[n]
			}
			return ""
		}
		number := func(n int) int64 {
			i, _ := strconv.ParseInt(word(n), 10, 64)
			return i
		}
		switch f.name {
		case "service":
			v.wanted, v.kind = word(0), word(1)
		case "supervisor":
			v.supervised = true
		case "child":
			v.since, v.runs = time.Unix(number(1), 0).UTC(), word(2)
		case "exit":
			v.exits, v.status = int(number(0)), int(number(1))
			v.exitAge = time.Duration(max(0, number(3)-number(2))) * time.Second
		case "up":
			v.up, v.told = true, true
		case "down":
			v.told, v.status = true, int(number(0))
		}
	}
	if v.kind == "commands" && v.up {
		v.runs = v.wanted
	}
	return v
}

// revision is what runs, or else should.
func (v service) revision() string {
	if v.runs != "" {
		return v.runs
	}
	return v.wanted
}

// health judges the service by its process alone.
func (v service) health() (deployer.Health, string) {
	switch {
	case v.kind == "":
		return deployer.HealthHealthy, ""
	case v.kind == "commands" && v.up:
		return deployer.HealthHealthy, ""
	case v.kind == "commands" && v.told:
		return deployer.HealthStopped, fmt.Sprintf("its status command ended with status %d", v.status)
	case v.kind == "commands":
		return deployer.HealthUnknown, "its status is not known"
	case v.runs != "" && v.exits > 0 && v.exitAge < freshExit:
		return deployer.HealthFailing, fmt.Sprintf("%s; it was started again", v.exited())
	case v.runs != "":
		return deployer.HealthHealthy, ""
	case v.supervised && v.exits > 0:
		return deployer.HealthFailing, v.exited()
	case v.supervised:
		return deployer.HealthUnknown, "it is being started"
	}
	return deployer.HealthStopped, "no process of it runs"
}

func (v service) exited() string {
	text := fmt.Sprintf("exited with status %d, %s ago", v.status, v.exitAge)
	if v.status > 128 && v.status < 160 {
		text = fmt.Sprintf("was ended by signal %d, %s ago", v.status-128, v.exitAge)
	}
	if v.exits > 1 {
		text += fmt.Sprintf(", %d times so far", v.exits)
	}
	return text
}
