// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	maxLine     = 256 << 10 // bytes of one line of output; the rest is dropped
	maxAnswer   = 16 << 20  // bytes of one answer that are kept
	maxFields   = 100_000
	sendBuffer  = 256 << 10
	keptOutput  = 50 // last lines of output that errors carry
	maxSections = 64
)

// agent is a shell on a machine that waits for calls.
type agent struct {
	session Session
	reader  *bufio.Reader
	nonce   string
	first   string // the call that the shell began with, while do has not made it
	greeted bool   // the answer to the nonce was read
	process string // its pid and start, once greeted
	heard   func() // called when the host says something
	lost    bool
}

// startAgent starts a shell. It is not waited for. A first call, if there is one,
// goes in the shell's own command, which arrives a round trip before its input
// can; everybody on the host may see it.
func startAgent(ctx context.Context, conn Conn, first string) (*agent, error) {
	a := &agent{nonce: rand.Text(), first: first, heard: func() {}}
	session, err := conn.Start(ctx, bootstrap(a.nonce, first))
	if err != nil {
		return nil, err
	}
	a.session = session
	a.reader = bufio.NewReaderSize(listening{a}, 32<<10)
	return a, nil
}

// listening reads what an agent says.
type listening struct{ *agent }

func (l listening) Read(p []byte) (int, error) {
	n, err := l.session.Read(p)
	l.heard()
	return n, err
}

// answer is what the agent said to one call.
type answer struct {
	fields   []field
	sections map[string][]string // lines that followed a field without a value
	output   []string            // last lines of what commands wrote
	status   int
}

type field struct{ name, value string }

func (a answer) has(name string) bool {
	_, ok := a.get(name)
	return ok
}

func (a answer) get(name string) (string, bool) {
	for _, f := range a.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return "", false
}

func (a answer) all(name string) []string {
	var values []string
	for _, f := range a.fields {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return values
}

// call is one request to an agent.
type call struct {
	line string
	// public: everybody on the host may see the line, in a list of processes.
	public bool
	body   io.Reader // follows the line; nil: nothing
	// said sees each line of output as it comes, and each field; nil: nobody.
	said func(name, value string)
	// silence is for how long nothing may move in either direction. 0:
	// longestSilence.
	silence time.Duration
}

// first is the call as a new agent may begin with it; "" where it may not.
func (c call) first() string {
	if !c.public || c.body != nil {
		return ""
	}
	return c.line
}

// longestSilence is more than any script waits by itself.
const longestSilence = 10 * time.Minute

var errSilent = errors.New("the host says nothing")

// do makes a call. When ctx ends before the answer is complete, or nothing moves
// for too long, the session is closed and not waited for: the agent finishes
// what it is at and then ends.
func (a *agent) do(ctx context.Context, c call) (answer, error) {
	silence := cmp.Or(c.silence, longestSilence)
	bounded, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	a.heard = func() { quiet.Reset(silence) }
	stop := context.AfterFunc(bounded, func() { _ = a.session.Close() })
	defer func() {
		if !stop() {
			a.lost = true
		}
	}()
	body := &sending{reader: c.body, moved: a.heard}
	defer body.end()
	sent := make(chan error, 1)
	go func() {
		var err error
		if a.first != c.line {
			_, err = io.WriteString(a.session, c.line+"\n")
		}
		a.first = ""
		if err == nil && c.body != nil {
			_, err = io.CopyBuffer(onlyWriter{a.session}, body, make([]byte, sendBuffer))
		}
		sent <- err
	}()
	ans, err := a.answer(c.said)
	if err == nil && ans.has("leaving") { // it did not read all of the body
		a.lost = true
		return ans, nil
	}
	if err == nil {
		select {
		case err = <-sent:
			if err != nil {
				err = lostConnection(err)
			}
		case <-bounded.Done():
			err = lostConnection(context.Cause(bounded))
		}
	}
	if err == nil {
		return ans, nil
	}
	a.lost = true
	if ctx.Err() != nil {
		return ans, stopped(ctx)
	}
	if errors.Is(context.Cause(bounded), errSilent) {
		return ans, &lostError{deployer.Errorf(deployer.CodeUnreachable, "the host said nothing for %s", silence)}
	}
	return ans, err
}

// sending is a body on its way. Nothing reads it once its call has ended.
type sending struct {
	mu     sync.Mutex
	reader io.Reader
	moved  func()
}

func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		return 0, errLost
	}
	s.moved()
	return s.reader.Read(p)
}

func (s *sending) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader = nil
}

type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// answer reads until the line that ends a call.
func (a *agent) answer(said func(name, value string)) (answer, error) {
	if !a.greeted {
		greeting, err := readAnswer(a.reader, a.nonce, nil)
		if err != nil {
			if len(greeting.output) > 0 {
				err = &lostError{&deployer.Error{
					Code: deployer.CodeRefused, Message: "the host did not start a POSIX shell for this user",
					Advice: "The user needs a login shell and must not be restricted to other commands (ForceCommand, SFTP only).", Log: greeting.output,
				}}
			}
			return greeting, err
		}
		a.greeted = true
		a.process, _ = greeting.get("agent")
	}
	return readAnswer(a.reader, a.nonce, said)
}

// readAnswer reads an answer: lines that begin with the nonce, and output. A
// field without a value opens a section of lines.
func readAnswer(r *bufio.Reader, nonce string, said func(name, value string)) (answer, error) {
	ans := answer{sections: map[string][]string{}}
	section, kept := "", 0
	for {
		line, err := readLine(r)
		if err != nil {
			return ans, lostConnection(err)
		}
		rest, ours := strings.CutPrefix(line, nonce)
		if last := len(ans.sections[section]) - 1; ours && last >= 0 && ans.sections[section][last] == "" {
			ans.sections[section] = ans.sections[section][:last] // the newline before what is ours
		}
		switch {
		case ours && strings.HasPrefix(rest, " "):
			status, err := strconv.Atoi(rest[1:])
			if err != nil {
				return ans, &deployer.Error{Code: deployer.CodeFailed, Message: fmt.Sprintf("the shell on the host ended a call with %q", rest[1:])}
			}
			ans.status = status
			return ans, nil
		case ours && strings.HasPrefix(rest, ":"):
			name, value, _ := strings.Cut(rest[1:], " ")
			section = ""
			if value == "" && len(ans.sections) < maxSections {
				section = name
			}
			if len(ans.fields) < maxFields {
				ans.fields = append(ans.fields, field{name, value})
			}
			if said != nil {
				said(name, value)
			}
		case section != "":
			if kept += len(line) + 1; kept <= maxAnswer {
				ans.sections[section] = append(ans.sections[section], line)
			}
		case line != "":
			if ans.output = append(ans.output, line); len(ans.output) > keptOutput {
				ans.output = ans.output[1:]
			}
			if said != nil {
				said("", line)
			}
		}
	}
}

// readLine reads one line of any length and keeps its beginning.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if room := maxLine - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}

// errLost is the cause of errors after which nothing is known of a call.
var errLost = errors.New("the connection was lost")

type lostError struct{ is *deployer.Error }

func (e *lostError) Error() string   { return e.is.Error() }
func (e *lostError) Unwrap() []error { return []error{e.is, errLost} }

func lostConnection(err error) error {
	message := "the connection was lost"
	if !errors.Is(err, io.EOF) {
		message += ": " + err.Error()
	}
	return &lostError{&deployer.Error{Code: deployer.CodeUnreachable, Message: message}}
}
