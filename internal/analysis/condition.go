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
	"strconv"
	"strings"
)

// Condition compares a measured value with a bound, as in ">= 0.92".
type Condition struct {
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
// number, with or without spaces around them.
func ParseCondition(text string) (Condition, error) {
	text = strings.TrimSpace(text)
	for _, op := range operators {
		rest, ok := strings.CutPrefix(text, op)
		if !ok {
			continue
		}
		bound, err := parseNumber(strings.TrimSpace(rest))
		if err != nil {
			return Condition{}, fmt.Errorf("condition %q: %w", shorten(text), err)
		}
		return Condition{op: op, bound: bound}, nil
	}
	return Condition{}, fmt.Errorf("condition %q: begins with none of %s; write for example \">= 0.92\"", shorten(text), strings.Join(operators, " "))
}

// Holds compares. NaN satisfies nothing, not even "!=".
func (c Condition) Holds(value float64) bool {
	if math.IsNaN(value) {
		return false
	}
	switch c.op {
	case ">=":
		return value >= c.bound
	case "<=":
		return value <= c.bound
	case "==":
		return value == c.bound
	case "!=":
		return value != c.bound
	case ">":
		return value > c.bound
	case "<":
		return value < c.bound
	}
	return false
}

// IsZero says whether there is no condition. No condition holds for nothing.
func (c Condition) IsZero() bool { return c.op == "" }

// String is what ParseCondition reads, in one form for every way to write it.
func (c Condition) String() string {
	if c.IsZero() {
		return ""
	}
	return c.op + " " + formatNumber(c.bound)
}

// MarshalText is String.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCondition.
func (c *Condition) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCondition(string(text))
	return err
}

// parseNumber reads a finite decimal number; strconv alone would also take
// hexadecimal, underscores, "inf" and "nan".
func parseNumber(text string) (float64, error) {
	if text == "" {
		return 0, errors.New("the number is missing")
	}
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, fmt.Errorf("%q is not a decimal number", shorten(text))
	}
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is too large", shorten(text))
	case err != nil:
		return 0, fmt.Errorf("%q is not a decimal number", shorten(text))
	}
	if value == 0 {
		value = 0 // minus zero reads as zero
	}
	return value, nil
}

func formatNumber(value float64) string {
	return strconv.FormatFloat(value, 'g', -1, 64)
}

func shorten(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
