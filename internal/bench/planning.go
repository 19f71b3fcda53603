// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// planMost is what a plan that finds nothing to do may take longer than that
// of one terraform_data.
const planMost = time.Second

const (
	baseline   = "one terraform_data"
	deployment = "one delivery_deployment on 20 hosts"
)

// planning measures plans without changes.
func (s *stage) planning(ctx context.Context, o options) (tables []table, err error) {
	const title = "A plan without changes"
	if !o.scenarios.MatchString(title) || !o.tools.MatchString(oursName) {
		return nil, nil
	}
	trivial := s.rig.TempDir()
	if err := writeNew(filepath.Join(trivial, "main.tf"), []byte("resource \"terraform_data\" \"one\" {\n  input = 1\n}\n")); err != nil {
		return nil, err
	}
	t := s.trial(s.near)
	if err := s.delivery.deployment(t, "app:1.0.0", true); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.delivery.destroy(t.work)) }()
	for _, work := range []string{trivial, t.work} {
		if _, err := run(ctx, s.delivery.terraform(work, "apply", "-auto-approve")); err != nil {
			return nil, err
		}
	}
	rows := []row{{what: baseline}, {what: deployment}}
	for n := range o.runs {
		fmt.Fprintf(os.Stderr, "bench: %s: run %d of %d\n", title, n+1, o.runs)
		for i, work := range []string{trivial, t.work} {
			took, err := run(ctx, s.delivery.terraform(work, "plan", "-detailed-exitcode"))
			if err != nil {
				return nil, err
			}
			rows[i].got = append(rows[i].got, took)
		}
	}
	return []table{{title: title, rows: rows, reference: baseline, broken: judgePlan(rows[0].got, rows[1].got)}}, nil
}

func judgePlan(trivial, ours series) []string {
	if more := ours.median() - trivial.median(); more > planMost {
		return []string{fmt.Sprintf("it took %.2f s longer than that of one terraform_data; %.1f s was promised", more.Seconds(), planMost.Seconds())}
	}
	return nil
}
