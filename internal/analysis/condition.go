// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package analysis judges numbers that say how a release does: it asks
// Prometheus, an HTTP endpoint that answers JSON, or a command, and decides by
// conditions, over several measurements, with what no data means said out loud.
package analysis

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Condition compares a measured value with a bound, as in ">= 0.92", or with
// both ends of a range, as in ">= 0.2, < 0.8".
type Condition struct {
	terms [2]term // one or two; the lower end of a range is the first
}

// term is one comparison; without an operator it is none.
type term struct {
	op    string
	bound float64
}

var (
	_ encoding.TextMarshaler   = Condition{}
	_ encoding.TextUnmarshaler = (*Condition)(nil)
)

// operators, a longer one before its prefix.
var operators = []string{">=", "<=", "==", "!=", ">", "<"}

// ParseCondition reads an operator (>=, <=, ==, !=, >, <) and a finite decimal
// number, with or without spaces around them. Two of them with a comma between
// are a range: one of > and >=, and one of < and <=.
func ParseCondition(text string) (Condition, error) {
	text = strings.TrimSpace(text)
	var c Condition
	for n, part := range strings.Split(text, ",") {
		if n >= len(c.terms) {
			return Condition{}, fmt.Errorf("condition %q: has more than two comparisons", shorten(text))
		}
		var err error
		if c.terms[n], err = parseTerm(strings.TrimSpace(part)); err != nil {
			return Condition{}, fmt.Errorf("condition %q: %w", shorten(text), err)
		}
	}
	if c.terms[1].op == "" {
		return c, nil
	}
	if strings.HasPrefix(c.terms[0].op, "<") {
		c.terms[0], c.terms[1] = c.terms[1], c.terms[0]
	}
	lower, upper := c.terms[0], c.terms[1]
	switch {
	case !strings.HasPrefix(lower.op, ">") || !strings.HasPrefix(upper.op, "<"):
		return Condition{}, fmt.Errorf("condition %q: a range has a lower and an upper end; write for example \">= 0.2, < 0.8\"", shorten(text))
	case lower.bound > upper.bound, lower.bound == upper.bound && (lower.op == ">" || upper.op == "<"):
		return Condition{}, fmt.Errorf("condition %q: no number meets both comparisons", shorten(text))
	}
	return c, nil
}

// exactIntegers is where whole numbers begin to be rounded, so that to compare
// for equality would be to guess.
const exactIntegers = 1 << 53

func parseTerm(text string) (term, error) {
	for _, op := range operators {
		rest, ok := strings.CutPrefix(text, op)
		if !ok {
			continue
		}
		bound, err := parseNumber(strings.TrimSpace(rest))
		if err != nil {
			return term{}, err
		}
		if (op == "==" || op == "!=") && math.Abs(bound) >= exactIntegers {
			return term{}, errors.New("numbers of this size are rounded, so they cannot be compared for equality")
		}
		return term{op: op, bound: bound}, nil
	}
	return term{}, fmt.Errorf("begins with none of %s; write for example \">= 0.92\"", strings.Join(operators, " "))
}

// Holds compares. NaN satisfies nothing, not even "!=".
func (c Condition) Holds(value float64) bool {
	if math.IsNaN(value) || c.IsZero() {
		return false
	}
	for _, t := range c.terms {
		if t.op != "" && !t.holds(value) {
			return false
		}
	}
	return true
}

func (t term) holds(value float64) bool {
	switch t.op {
	case ">=":
		return value >= t.bound
	case "<=":
		return value <= t.bound
	case "==":
		return value == t.bound
	case "!=":
		return value != t.bound
	case ">":
		return value > t.bound
	case "<":
		return value < t.bound
	}
	return false
}

// IsZero says whether there is no condition. No condition holds for nothing.
func (c Condition) IsZero() bool { return c.terms[0].op == "" }

// String is what ParseCondition reads, in one form for every way to write it.
func (c Condition) String() string {
	var parts []string
	for _, t := range c.terms {
		if t.op != "" {
			parts = append(parts, t.op+" "+formatNumber(t.bound))
		}
	}
	return strings.Join(parts, ", ")
}

// MarshalText is String.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCondition.
func (c *Condition) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCondition(string(text))
	return err
}
