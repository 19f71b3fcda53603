// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package lazyregexp has regular expressions that are compiled when they are
// first needed. Terraform starts a provider four times in an apply, mostly for
// its schema alone, and compiling every package's expressions took longer each
// time than answering.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression that is compiled at its first use.
type Regexp struct{ compiled func() *regexp.Regexp }

// New is regexp.MustCompile, later: an expression that does not compile panics
// when it is used, so that every one needs a test that uses it.
func New(expression string) Regexp {
	return Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// MatchString is [regexp.Regexp.MatchString].
func (r Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

// FindStringSubmatch is [regexp.Regexp.FindStringSubmatch].
func (r Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

// ReplaceAllString is [regexp.Regexp.ReplaceAllString].
func (r Regexp) ReplaceAllString(s, replacement string) string {
	return r.compiled().ReplaceAllString(s, replacement)
}
