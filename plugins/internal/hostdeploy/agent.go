// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

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
	greeted bool // the answer to the nonce was read
	lost    bool
}

// startAgent starts a shell. It is not waited for: the first call is on its way
// before the shell is there.
func startAgent(ctx context.Context, conn Conn) (*agent, error) {
	session, err := conn.Start(ctx, bootstrap)
	if err != nil {
		return nil, err
	}
	a := &agent{session: session, reader: bufio.NewReaderSize(session, 32<<10), nonce: rand.Text()}
	if _, err := io.WriteString(session, "nonce="+a.nonce+"\n"); err != nil {
		_ = session.Close()
		return nil, lostConnection(err)
	}
	return a, nil
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
	body io.Reader // follows the line; nil: nothing
	// said sees each line of output as it comes, and each field; nil: nobody.
	said func(name, value string)
}

// do makes a call. When ctx ends before the answer is complete, the session is
// closed: the agent finishes what it is at and then ends.
func (a *agent) do(ctx context.Context, c call) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = a.session.Close() })
	defer stop()
	sent := make(chan error, 1)
	send := func() error {
		if _, err := io.WriteString(a.session, c.line+"\n"); err != nil || c.body == nil {
			return err
		}
		_, err := io.CopyBuffer(onlyWriter{a.session}, onlyReader{c.body}, make([]byte, sendBuffer))
		return err
	}
	if c.body == nil {
		sent <- send()
	} else {
		go func() { sent <- send() }()
	}
	ans, err := a.answer(c.said)
	if err != nil {
		a.lost = true
		if ctx.Err() != nil {
			return ans, stopped(ctx)
		}
		return ans, err
	}
	if ans.has("leaving") { // it did not read all of the body
		a.lost = true
		_ = a.session.Close()
		<-sent
		return ans, nil
	}
	if err := <-sent; err != nil {
		a.lost = true
		return ans, lostConnection(err)
	}
	return ans, nil
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
