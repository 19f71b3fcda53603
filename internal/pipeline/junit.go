// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a JUnit report. Text and character data do not count: they are cut
// short while they are read.
const (
	maxTag    = 1 << 20   // bytes of one tag with its attributes
	maxTests  = 1_000_000 // in one report
	maxNested = 100       // elements within each other
	keepText  = 4 << 10   // bytes of each run of text that reach the parser
)

// testCounts is what a report says.
type testCounts struct {
	tests, failures, skipped int
	failing                  []string // at most maxNamedTests
}

func (c *testCounts) add(other testCounts) {
	c.tests += other.tests
	c.failures += other.failures
	c.skipped += other.skipped
	c.failing = append(c.failing, other.failing[:min(len(other.failing), maxNamedTests-len(c.failing))]...)
}

func (c *testCounts) fail(name string) {
	c.failures++
	if len(c.failing) < maxNamedTests {
		c.failing = append(c.failing, name)
	}
}

// parseJUnit reads a JUnit report as pytest, unittest writers, gotestsum,
// Surefire and others write it: <testsuites> or <testsuite>, nested or not. A
// test that failed first and passed when it was run again (flakyFailure) has
// passed. Memory does not grow with the report. An error names the line.
func parseJUnit(r io.Reader) (testCounts, error) {
	short := &shortener{r: bufio.NewReaderSize(r, 64<<10), line: 1}
	p := &junitParser{}
	decoder := xml.NewDecoder(short)
	decoder.CharsetReader = func(charset string, input io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "utf-8", "us-ascii", "ascii":
			return input, nil
		case "iso-8859-1", "latin1", "windows-1252":
			return &latin1{r: short}, nil
		}
		return nil, fmt.Errorf("the encoding %q is not supported; write the report as UTF-8", charset)
	}
	for {
		token, err := decoder.RawToken()
		if err == nil {
			err = p.token(token)
		}
		if errors.Is(err, io.EOF) && token == nil {
			break
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				err = errors.New(syntax.Msg)
			}
			return testCounts{}, fmt.Errorf("line %d: %w", short.line, err)
		}
	}
	if err := p.end(); err != nil {
		return testCounts{}, fmt.Errorf("line %d: %w", short.line, err)
	}
	return p.counts, nil
}

// junitParser follows the elements of a report.
type junitParser struct {
	counts testCounts
	open   []string // the elements that are open
	root   bool     // there was one
	name   string   // of the open test
	failed bool     // the open test has a failure or an error
	skip   bool
	suites []string // names of the open suites
}

func (p *junitParser) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		return p.close(t.Name.Local)
	case xml.CharData:
		if len(p.open) == 0 && strings.TrimSpace(string(t)) != "" {
			return fmt.Errorf("it is not a JUnit report: it has text outside of any element (%.40q)", strings.TrimSpace(string(t)))
		}
	}
	return nil
}

func (p *junitParser) start(t xml.StartElement) error {
	name := t.Name.Local
	if len(p.open) == maxNested {
		return fmt.Errorf("elements are nested more than %d deep", maxNested)
	}
	if len(p.open) == 0 {
		if p.root {
			return fmt.Errorf("there is a second root element, <%.40s>", name)
		}
		if name != "testsuites" && name != "testsuite" {
			return fmt.Errorf("it is not a JUnit report: it begins with <%.40s>, not with <testsuites> or <testsuite>", name)
		}
		p.root = true
	}
	switch name {
	case "testsuite":
		p.suites = append(p.suites, attribute(t, "name"))
	case "testcase":
		if p.counts.tests++; p.counts.tests > maxTests {
			return fmt.Errorf("it has more than %d tests", maxTests)
		}
		p.name, p.failed, p.skip = p.testName(t), false, false
	case "failure", "error":
		switch p.parent() {
		case "testcase":
			p.failed = true
		case "testsuite":
			p.counts.fail(strings.TrimSpace(p.suites[len(p.suites)-1] + " (the suite itself)"))
		}
	case "skipped":
		p.skip = p.skip || p.parent() == "testcase"
	}
	p.open = append(p.open, name)
	return nil
}

func (p *junitParser) close(name string) error {
	if p.parent() != name {
		return fmt.Errorf("</%.40s> closes <%.40s>", name, p.parent())
	}
	p.open = p.open[:len(p.open)-1]
	switch name {
	case "testsuite":
		p.suites = p.suites[:len(p.suites)-1]
	case "testcase":
		if p.failed {
			p.counts.fail(p.name)
		} else if p.skip {
			p.counts.skipped++
		}
	}
	return nil
}

func (p *junitParser) end() error {
	switch {
	case len(p.open) > 0:
		return fmt.Errorf("it ends inside <%.40s>; was the writer killed?", p.parent())
	case !p.root:
		return errors.New("it is empty")
	}
	return nil
}

func (p *junitParser) parent() string {
	if len(p.open) == 0 {
		return ""
	}
	return p.open[len(p.open)-1]
}

// testName is how the test's own framework would call it, as far as the report
// tells.
func (p *junitParser) testName(t xml.StartElement) string {
	name, class := attribute(t, "name"), attribute(t, "classname")
	if class == "" && len(p.suites) > 0 {
		class = p.suites[len(p.suites)-1]
	}
	switch {
	case name == "":
		name = class
	case class != "" && class != name:
		name = class + "." + name
	}
	if name == "" {
		name = "(a test without a name)"
	}
	return printable(name, 200)
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// latin1 turns ISO 8859-1 into UTF-8.
type latin1 struct {
	r       io.ByteReader
	pending byte // second byte of a character; 0 when there is none
}

// ReadByte implements io.ByteReader.
func (l *latin1) ReadByte() (byte, error) {
	if b := l.pending; b != 0 {
		l.pending = 0
		return b, nil
	}
	b, err := l.r.ReadByte()
	if err == nil && b >= 0x80 {
		b, l.pending = 0xc0|b>>6, 0x80|b&0x3f
	}
	return b, err
}

// Read implements io.Reader.
func (l *latin1) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := l.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}
