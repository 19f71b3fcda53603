// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestReportsOfWellKnownWriters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"pytest.xml":    "5 tests, 2 failed, 2 skipped: [test_shop.Shop.test_bad test_shop.test_error]",
		"unittest.xml":  "4 tests, 2 failed, 1 skipped: [test_plain.Shop.test_bad test_plain.Shop.test_error]",
		"gotestsum.xml": "4 tests, 2 failed, 1 skipped: [example.org/shop.TestPrice/of_a_<basket> example.org/shop.TestPrice]",
		"surefire.xml":  "5 tests, 4 failed, 0 skipped: [com.acme.ShopTest.broken com.acme.ShopTest.both com.acme.ShopTest.umlaut-ü outer (the suite itself)]",
	} {
		data, err := os.ReadFile(filepath.Join("testdata/junit", name))
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseJUnit(bytes.NewReader(data))
		got := fmt.Sprintf("%d tests, %d failed, %d skipped: %v", c.tests, c.failures, c.skipped, c.failing)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, want)
		}
	}
}

func TestBadReportsAreRefusedAtTheirLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ report, say string }{
		"nothing":             {"", "line 1: it is empty"},
		"no XML":              {"hello", "outside of any element"},
		"another document":    {"<html/>", "begins with <html>"},
		"half":                {"<testsuite>\n<testcase name='a'>\n", "line 3: it ends inside <testcase>"},
		"half a tag":          {"<testsuite>\n<testcase nam", "line 2: unexpected EOF"},
		"crossed":             {"<testsuite>\n<testcase></testsuite>", "line 2: </testsuite> closes <testcase>"},
		"two":                 {"<testsuite/><testsuite/>", "second root"},
		"entities":            {"<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite/>", "document type declaration"},
		"an unknown entity":   {"<testsuite>&lol;</testsuite>", "invalid character entity"},
		"a bare attribute":    {"<testsuite a=b/>", "unquoted"},
		"bytes that are none": {"<testsuite>\xff</testsuite>", "invalid UTF-8"},
		"nested without end":  {strings.Repeat("<testsuite>", 101), "more than 100 deep"},
		"a huge tag":          {"<testsuite name='" + strings.Repeat("x", 2<<20) + "'/>", "more than 1048576 bytes"},
		"an encoding":         {"<?xml version='1.0' encoding='EBCDIC'?><testsuite/>", "EBCDIC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseJUnit(strings.NewReader(c.report)); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("error is %v, want %q", err, c.say)
			}
		})
	}
}

func TestOnlySomeFailingTestsAreNamed(t *testing.T) {
	t.Parallel()
	c, err := parseJUnit(strings.NewReader("<testsuite>" + strings.Repeat("<testcase name='a'><failure/></testcase>", 50) + "</testsuite>"))
	if err != nil || c.failures != 50 || len(c.failing) != maxNamedTests {
		t.Errorf("%d failures, %d named, %v", c.failures, len(c.failing), err)
	}
}

// repeat is a text many times over, made while it is read.
type repeat struct {
	text string
	left int
	rest string
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.left--; r.left < 0 {
			return 0, io.EOF
		}
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// It measures what the whole process allocates, so nothing runs beside it.
func TestMemoryDoesNotGrowWithTheReport(t *testing.T) {
	line := strings.Repeat("<&lt;]]>ü ", 1000)
	for name, around := range map[string][2]string{
		"character data": {"<![CDATA[", "]]>"}, "text": {"", ""}, "a comment": {"<!--", "-->"},
	} {
		text := line
		switch name {
		case "character data":
			text = strings.ReplaceAll(line, "]]>", "")
		case "text":
			text = strings.Repeat("&lt;ü\n", 2000)
		case "a comment":
			text = strings.ReplaceAll(line, "-", "")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := parseJUnit(io.MultiReader(
			strings.NewReader("<testsuite><testcase name='a'><system-out>"+around[0]),
			&repeat{text: text, left: 400},
			strings.NewReader(around[1]+"</system-out><failure/></testcase></testsuite>")))
		runtime.ReadMemStats(&after)
		if err != nil || c.failures != 1 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
			t.Errorf("%s: %d bytes were allocated", name, used)
		}
	}
}

func TestLinesAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	report := "<testsuite>\n<system-out>" + strings.Repeat("a line\n", 10_000) + "</system-out>\n</oops>"
	if _, err := parseJUnit(strings.NewReader(report)); err == nil || !strings.Contains(err.Error(), "line 10003:") {
		t.Errorf("error is %v", err)
	}
}

// FuzzParseJUnit compares with a parser that keeps everything, for reports
// that it takes.
func FuzzParseJUnit(f *testing.F) {
	files, _ := filepath.Glob("testdata/junit/*.xml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("<testsuite><!-- - --><?pi ?><![CDATA[]]]]>&#x41;</testsuite>"))
	f.Add([]byte("<testsuite>" + strings.Repeat("&amp;", 2000) + "</testsuite>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseJUnit(bytes.NewReader(data))
		if err != nil {
			return
		}
		var tests int
		decoder := xml.NewDecoder(bytes.NewReader(data))
		decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
		for {
			token, err := decoder.RawToken()
			if err != nil {
				break // text that was cut away may have held the mistake
			}
			if start, ok := token.(xml.StartElement); ok && start.Name.Local == "testcase" {
				tests++
			}
		}
		if tests > got.tests || got.failures < 0 || len(got.failing) > maxNamedTests {
			t.Errorf("%d tests, want %d; %+v", got.tests, tests, got)
		}
	})
}
