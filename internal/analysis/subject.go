// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Subject is what a query is about. PromQL expressions and the path and query
// of URLs may name its members in double braces: {{revision}}, {{release}},
// {{version}}, {{commit}} and {{instances}}. Commands get them as variables:
// DELIVERY_REVISION and so on.
//
// In PromQL a member stands inside of a quoted string. {{instances}} is a
// regular expression there that matches each of them whole, for =~ and !~; in
// URLs they are separated by commas, in the variable by spaces.
type Subject struct {
	Revision  string   // its id
	Release   string   // its id, such as "shop:1.5.0"
	Version   string   // the release's
	Commit    string   // "" for what was not built from Git
	Instances []string // that run the revision
}

// members are the placeholders and what they stand for, each a list.
func (s Subject) members() map[string][]string {
	return map[string][]string{
		"revision": {s.Revision}, "release": {s.Release}, "version": {s.Version}, "commit": {s.Commit}, "instances": s.Instances,
	}
}

// fill replaces the placeholders in text by what as makes of their values.
func fill(text string, members map[string][]string, as func(name string, values []string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return "", errors.New("a placeholder has no end: after {{ there is no }}")
		}
		name = strings.TrimSpace(name)
		values, known := members[name]
		if !known {
			return "", fmt.Errorf("{{%s}} is not a placeholder; there are {{%s}}", shorten(name), strings.Join(slices.Sorted(maps.Keys(members)), "}}, {{"))
		}
		value, err := as(name, values)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = after
	}
}

// checkPlaceholders finds those that nobody knows.
func checkPlaceholders(text string) error {
	_, err := fill(text, Subject{}.members(), func(string, []string) (string, error) { return "", nil })
	return err
}

// present refuses a member that there is not: a query without it would be
// about something else.
func present(name string, values []string) error {
	if len(values) == 0 || slices.Contains(values, "") {
		return fmt.Errorf("{{%s}} has no value here", name)
	}
	return nil
}

// plain are the characters that mean themselves in every kind of PromQL string.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:/@+~%=, "

// inPromQL keeps a value from ending the string that it stands in.
func inPromQL(name string, values []string) (string, error) {
	if err := present(name, values); err != nil {
		return "", err
	}
	for _, value := range values {
		if strings.Trim(value, plain) != "" {
			return "", fmt.Errorf("{{%s}} is %q here, which has characters that cannot stand in PromQL", name, shorten(value))
		}
	}
	if name != "instances" {
		return values[0], nil
	}
	var patterns []string
	for _, value := range values {
		// A class of one, because a backslash would depend on the quotes.
		patterns = append(patterns, strings.NewReplacer(".", "[.]", "+", "[+]").Replace(value))
	}
	return "(" + strings.Join(patterns, "|") + ")", nil
}

// inURL keeps a value from ending its part of a path or query.
func inURL(name string, values []string) (string, error) {
	if err := present(name, values); err != nil {
		return "", err
	}
	escaped := make([]string, len(values))
	for n, value := range values {
		escaped[n] = strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	}
	return strings.Join(escaped, ","), nil
}

// variables are the members for a command.
func (s Subject) variables() []string {
	var all []string
	for name, values := range s.members() {
		all = append(all, "DELIVERY_"+strings.ToUpper(name)+"="+strings.Join(values, " "))
	}
	slices.Sort(all)
	return all
}
