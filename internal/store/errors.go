// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNotFound says that there is no such release, evidence or event.
var ErrNotFound = errors.New("not found in the store")

// ErrCorrupt says that what the store holds or answers is not what it should
// be: wrong digests, too large, or not ours.
var ErrCorrupt = errors.New("the store's content is damaged")

// ConflictError says that a version already stands for another release.
type ConflictError struct {
	Existing Release
	Wanted   Record
	// SameInputs: only the artifact's bytes differ, so whatever makes them is
	// not reproducible.
	SameInputs bool
}

func (e *ConflictError) Error() string {
	what := "with other bytes, although made of the same inputs"
	if !e.SameInputs {
		what = "made of other inputs (" + strings.Join(e.Differences(), "; ") + ")"
	}
	return fmt.Sprintf("release %s exists already, %s. A release never changes: set another version or make a new tag.", e.Existing.ID(), what)
}

// Differences names the inputs that differ, with both values.
func (e *ConflictError) Differences() []string {
	var out []string
	a, b := e.Existing.Inputs(), e.Wanted.Inputs()
	for _, d := range []struct{ name, have, want string }{
		{"commit", a.Commit, b.Commit},
		{"content", a.Content, b.Content},
		{"pipeline definition", a.Definition, b.Definition},
	} {
		if d.have != d.want {
			out = append(out, fmt.Sprintf("%s %s, now %s", d.name, short(d.have), short(d.want)))
		}
	}
	return out
}

func short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	if digest == "" {
		return "none"
	}
	return digest[:min(12, len(digest))]
}

// Reason says why a store could not be used.
type Reason string

// Reasons of an AccessError.
const (
	ReasonDenied      Reason = "denied"      // by rights or by login
	ReasonReadOnly    Reason = "read-only"   // the place takes no writes from anybody
	ReasonUnreachable Reason = "unreachable" // no answer, or none that can be trusted
	ReasonFull        Reason = "full"        // no space or quota left
	ReasonBusy        Reason = "busy"        // another process holds the lock
)

// AccessError says that the store could not be read or written.
type AccessError struct {
	Location string
	Write    bool
	Reason   Reason
	Detail   string // what the system or registry said
	Advice   string // what to do
	Err      error
}

func (e *AccessError) Error() string {
	verb := "read from"
	if e.Write {
		verb = "write to"
	}
	text := fmt.Sprintf("cannot %s the store %s: %s", verb, e.Location, strings.TrimRight(e.Detail, "."))
	if e.Advice != "" {
		text += ". " + e.Advice
	}
	return text
}

func (e *AccessError) Unwrap() error { return e.Err }

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
