// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table is one part of the result.
type table struct {
	title     string
	reference string // the row that the others are compared with
	rows      []row
	broken    []string // promises that were not kept
}

// row is what one tool needed: times, or memory, or why there is neither.
type row struct {
	what    string
	got     series
	memory  int64
	missing string
}

func printAll(w io.Writer, about []string, tables []table) {
	for _, line := range about {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w, "\nSeconds: minimum, median and maximum; times is against the first row, by medians.")
	fmt.Fprintln(w, "CPU seconds: median of what the tool itself used, and of the tool and the hosts together.")
	for _, t := range tables {
		t.print(w)
	}
}

func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", t.title)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	if t.reference == "" {
		fmt.Fprintln(out, "\tMiB at most\t")
	} else {
		fmt.Fprintln(out, "\tmin\tmedian\tmax\ttimes\tCPU tool\tall\t")
	}
	var reference series
	for _, r := range t.rows {
		if r.what == t.reference {
			reference = r.got
		}
	}
	for _, r := range t.rows {
		switch {
		case r.memory > 0:
			fmt.Fprintf(out, "%s\t%d\t\n", r.what, r.memory>>20)
		case r.missing != "" || len(r.got) == 0:
			fmt.Fprintf(out, "%s\t-\t-\t-\t-\t-\t-\t\n", r.what)
		default:
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.what,
				seconds(r.got.min()), seconds(r.got.median()), seconds(r.got.max()), times(r.got, reference),
				seconds(middle(r.got.each(tool))), seconds(middle(r.got.each(all))))
		}
	}
	_ = out.Flush()
	for _, r := range t.rows {
		if r.missing != "" {
			fmt.Fprintf(w, "%s: %s\n", r.what, r.missing)
		}
	}
	for _, promise := range t.broken {
		fmt.Fprintln(w, "BROKEN:", promise)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func times(got, reference series) string {
	if len(reference) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(got.median())/float64(reference.median()))
}
