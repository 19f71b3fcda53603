// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// mostRanges is how many names and ranges of names one text shows.
const mostRanges = 8

// instanceNames lists names as people do: in the order of their numbers, and
// neighbours as a range, such as "app-1 … app-50 (50 instances)".
func instanceNames(names []string) string {
	numbered := make([]numberedName, len(names))
	for n, name := range names {
		numbered[n] = numberedNameOf(name)
	}
	slices.SortFunc(numbered, func(a, b numberedName) int {
		return cmp.Or(cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name))
	})
	var parts []string
	shown, ranges := 0, false
	for n := 0; n < len(numbered); {
		end := n + 1
		for end < len(numbered) && numbered[end].follows(numbered[end-1]) {
			end++
		}
		if end-n < 3 {
			end = n + 1
		}
		if len(parts) == mostRanges {
			parts = append(parts, fmt.Sprintf("… and %d more", len(numbered)-shown))
			break
		}
		part := plainName(numbered[n].name)
		if end-n >= 3 {
			part += " … " + plainName(numbered[end-1].name)
			ranges = true
		}
		parts = append(parts, part)
		shown += end - n
		n = end
	}
	text := strings.Join(parts, ", ")
	if ranges || shown < len(numbered) {
		text += fmt.Sprintf(" (%d instances)", len(numbered))
	}
	return text
}

// numberedName is a name that ends in a number, which is -1 if it does not.
type numberedName struct {
	name, prefix string
	number       int
}

func numberedNameOf(name string) numberedName {
	const mostDigits = 9
	prefix := strings.TrimRight(name, "0123456789")
	number, err := strconv.Atoi(name[len(prefix):])
	if err != nil || len(name)-len(prefix) > mostDigits {
		return numberedName{name, name, -1}
	}
	return numberedName{name, prefix, number}
}

// follows says whether a name is the next one after another.
func (n numberedName) follows(before numberedName) bool {
	return n.number > 0 && before.number >= 0 && n.prefix == before.prefix && n.number == before.number+1
}
