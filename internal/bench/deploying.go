// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// scenario is one race.
type scenario struct {
	name  string
	hosts hosts
	// promises about this provider: at most so many times the limit, and not
	// behind these rivals. 0 and none: nothing is promised.
	most  float64
	ahead []string
}

// scenarios are the races, with what docs/design/performance.md promises.
func (s *stage) scenarios(o options) []scenario {
	rivals := []string{provisionerName, fabricName, ansibleName}
	all := []scenario{
		{name: "20 hosts, loopback", most: 1.3, ahead: rivals},
		{name: "1 host, 50 ms round trips", ahead: []string{provisionerName, ansibleName}},
		{name: "20 hosts, 50 ms round trips", most: 1.6, ahead: rivals},
		{name: "20 hosts, loopback, bash whose .bashrc takes 150 ms"},
	}
	var chosen []scenario
	for i, one := range all {
		if !o.scenarios.MatchString(one.name) {
			continue
		}
		switch i {
		case 0:
			one.hosts = s.near
		case 1:
			one.hosts = s.near.first(1).distant(s.rig, farAway)
		case 2:
			one.hosts = s.near.distant(s.rig, farAway)
		case 3:
			one.hosts = direct(testrig.NewFleet(s.rig, fleetSize, testrig.Space(diskSize), testrig.Bash(slowShell)))
		}
		chosen = append(chosen, one)
	}
	return chosen
}

// deploying races all contenders through all scenarios.
func (s *stage) deploying(ctx context.Context, o options) ([]table, error) {
	scenarios := s.scenarios(o)
	if len(scenarios) == 0 {
		return nil, nil
	}
	var racing []contender
	for _, c := range s.contenders {
		if o.tools.MatchString(c.name) {
			racing = append(racing, c)
		}
	}
	// The first run of each reads its programs from the disk.
	for i, c := range racing {
		if c.missing == "" {
			if _, err := c.deploy(ctx, s.trial(s.near.first(1))); err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				racing[i].missing = fail(err)
			}
		}
	}
	var tables []table
	for _, one := range scenarios {
		t, err := s.race(ctx, one, racing, o.runs)
		tables = append(tables, t)
		if err != nil {
			return tables, err
		}
	}
	return tables, nil
}

// race lets the contenders take turns, so that noise hits all alike.
func (s *stage) race(ctx context.Context, one scenario, racing []contender, runs int) (table, error) {
	rows := make([]row, len(racing))
	for i, c := range racing {
		rows[i] = row{what: c.name, missing: c.missing}
	}
	t := table{title: "First deployment, " + one.name, rows: rows, reference: limitName}
	for n := range runs {
		fmt.Fprintf(os.Stderr, "bench: %s: run %d of %d\n", one.name, n+1, runs)
		for i := range racing {
			k := (n + i) % len(racing)
			if rows[k].missing != "" {
				continue
			}
			took, err := racing[k].deploy(ctx, s.trial(one.hosts))
			if ctx.Err() != nil {
				return t, fmt.Errorf("%s: interrupted", one.name)
			}
			if err != nil {
				rows[k].missing = fail(err)
				continue
			}
			rows[k].got = append(rows[k].got, took)
		}
	}
	t.broken = one.judge(rows)
	return t, nil
}

// fail tells why, and gives the reason in one line.
func fail(err error) string {
	fmt.Fprintln(os.Stderr, "bench:", err)
	line, _, _ := strings.Cut(err.Error(), "\n")
	return "failed: " + line
}

// judge lists the promises that this provider broke.
func (one scenario) judge(rows []row) []string {
	by := map[string]row{}
	for _, r := range rows {
		by[r.what] = r
	}
	ours, taking := by[oursName]
	if !taking {
		return nil
	}
	if len(ours.got) == 0 {
		return []string{"this provider did not arrive: " + ours.missing}
	}
	var broken []string
	if limit := by[limitName].got; one.most > 0 && len(limit) > 0 {
		if times := float64(ours.got.median()) / float64(limit.median()); times > one.most {
			broken = append(broken, fmt.Sprintf("this provider took %.2f times the limit; %.1f was promised", times, one.most))
		}
	}
	for _, name := range one.ahead {
		if rival := by[name].got; len(rival) > 0 && ours.got.median() > rival.median() {
			broken = append(broken, "this provider is behind "+name)
		}
	}
	return broken
}
