// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is a number of instances, absolute or as a share of all. The zero
// Amount is not set.
type Amount struct {
	count   int
	percent int
}

// Count is an absolute Amount.
func Count(n int) Amount { return Amount{count: n} }

// Percent is an Amount relative to all instances.
func Percent(p int) Amount { return Amount{percent: p} }

// ParseAmount reads "3" or "25%": at least 1, at most 100%.
func ParseAmount(text string) (Amount, error) {
	number, relative := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || relative && n > 100 {
		return Amount{}, fmt.Errorf("%q is neither a number of instances, such as 3, nor a percentage, such as 25%%", text)
	}
	if relative {
		return Percent(n), nil
	}
	return Count(n), nil
}

// Of is the Amount of so many instances: at least 1, at most all, a percentage
// rounded down.
func (a Amount) Of(all int) int {
	n := a.count
	if a.percent > 0 {
		n = all * a.percent / 100
	}
	return min(max(n, 1), max(all, 1))
}

// IsZero says that the Amount is not set.
func (a Amount) IsZero() bool { return a == Amount{} }

func (a Amount) String() string {
	if a.percent > 0 {
		return strconv.Itoa(a.percent) + "%"
	}
	return strconv.Itoa(a.count)
}
