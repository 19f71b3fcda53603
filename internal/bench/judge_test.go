// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	promised := scenario{name: "some", most: 1.3, ahead: []string{provisionerName, fabricName}}
	rows := func(limit, ours, provisioners, fabric series) []row {
		return []row{
			{what: limitName, got: limit}, {what: oursName, got: ours},
			{what: provisionerName, got: provisioners}, {what: fabricName, got: fabric, missing: "not installed"},
		}
	}
	for _, c := range []struct {
		name string
		of   scenario
		rows []row
		want []string
	}{
		{"kept", promised, rows(took(1000), took(1300), took(1300), took(2400)), nil},
		{"over the limit", promised, rows(took(1000), took(1310), took(2000), took(2400)), []string{"1.31 times the limit"}},
		{"behind a rival", promised, rows(took(1000), took(1200), took(1100), took(2400)), []string{"behind " + provisionerName}},
		{"both", promised, rows(took(1000), took(2000), took(1100), took(1900)), []string{"2.00 times the limit", "behind " + provisionerName, "behind " + fabricName}},
		{"an absent rival is not beaten and not a reason", promised, rows(took(1000), took(1200), took(1200), nil), nil},
		{"nothing promised", scenario{name: "some"}, rows(took(1), took(1000), took(2), took(2)), nil},
		{"this provider failed", promised, []row{{what: oursName, missing: "failed: no space"}}, []string{"did not arrive: failed: no space"}},
		{"this provider was not asked for", promised, []row{{what: limitName, got: took(1)}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.of.judge(c.rows)
			if !slices.EqualFunc(got, c.want, strings.Contains) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestJudgePlan(t *testing.T) {
	t.Parallel()
	if got := judgePlan(took(100), took(1100)); got != nil {
		t.Errorf("one second more is allowed, got %q", got)
	}
	if got := judgePlan(took(100), took(1110)); len(got) != 1 || !strings.Contains(got[0], "1.01 s longer") {
		t.Errorf("got %q", got)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	printAll(&out, []string{"some machine"}, []table{
		{
			title: "A race", reference: limitName, broken: []string{"too slow"},
			rows: []row{
				{what: limitName, got: took(1000, 2000, 3000)}, {what: oursName, got: took(2500)},
				{what: fabricName, missing: "not installed"},
			},
		},
		{title: "Memory", rows: []row{{what: "provider", memory: 50 << 20}}},
	})
	flat := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "|", " ")), " ")
	for _, want := range []string{
		"some machine", limitName + " 1.00 2.00 3.00 1.00", oursName + " 2.50 2.50 2.50 1.25",
		fabricName + " - - -", fabricName + ": not installed", "BROKEN: too slow", "provider 50",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
}
