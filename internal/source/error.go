// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies an error.
type Kind string

// Kinds of errors.
const (
	Invalid     Kind = "invalid"     // the configuration is wrong: URL, path, reference
	NoSuchRef   Kind = "no_such_ref" // the repository has no such branch, tag or commit
	Unreachable Kind = "unreachable" // no connection, or too slow
	Refused     Kind = "refused"     // no authentication, host key, right
	NotFound    Kind = "not_found"   // no such repository, directory or path in it
	Submodules  Kind = "submodules"  // the commit has submodules, or one of them is not acceptable
	LargeFiles  Kind = "large_files" // the commit keeps files in Git LFS
	Changed     Kind = "changed"     // a directory's content is not what it was
	NoGit       Kind = "no_git"      // there is no usable git client here
	Failed      Kind = "failed"      // anything else
)

// Error is what every function of this package returns when it fails for a
// reason outside the program.
type Error struct {
	Kind    Kind
	Message string   // what failed, where and why
	Advice  string   // what to do; may be empty
	Log     []string // git's own last lines, without credentials
}

// Error gives the message, git's last line where there is one, and the advice.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if len(e.Log) > 0 {
		b.WriteString(": " + e.Log[len(e.Log)-1])
	}
	if e.Advice != "" {
		b.WriteString(". " + e.Advice)
	}
	return b.String()
}

// KindOf is the kind of err: "" for nil, Failed when it is not from here.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Failed
}

func errorf(kind Kind, advice, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Advice: advice}
}
