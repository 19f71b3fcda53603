// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package pipeline_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

// pytest is Debian's or anybody else's.
const pytest = "$(command -v pytest-3 || command -v pytest || echo pytest) -q -p no:cacheprovider --junitxml=report.xml"

func withReport(name, command string) pipeline.Stage {
	return pipeline.Stage{Name: "test", Commands: []string{command}, Reports: &pipeline.Reports{JUnit: []string{name}}}
}

func TestPytestIsUnderstood(t *testing.T) {
	t.Parallel()
	good := newRig(t, map[string]string{"test_shop.py": "def test_a(): pass\ndef test_b(): pass\n"})
	result := good.must(withReport("report.xml", pytest))
	if check := result.Checks["test"]; check.Tests != 2 || check.Failures != 0 {
		t.Errorf("%+v", check)
	}
	kept := slices.IndexFunc(result.Reports, func(r pipeline.Report) bool { return r.Kind == pipeline.ReportJUnit })
	if kept < 0 || result.Reports[kept].Name != "report.xml" {
		t.Fatalf("%v", result.Reports)
	}
	if data, err := os.ReadFile(result.Reports[kept].Path); err != nil || !strings.Contains(string(data), "test_a") {
		t.Errorf("the report: %q, %v", data, err)
	}

	bad := newRig(t, map[string]string{"test_shop.py": "import os\ndef test_price(): assert 3 == 4, os.environ['TOKEN']\ndef test_b(): pass\n"})
	bad.options.Secrets = map[string]string{"TOKEN": "s3cr3t<&value"}
	stage := withReport("report.xml", pytest)
	stage.Secrets = []string{"TOKEN"}
	result, failure := bad.fails(stage)
	if !slices.Equal(failure.FailingTests, []string{"test_shop.test_price"}) || failure.ExitCode != 1 {
		t.Errorf("%+v", failure)
	}
	if check := result.Checks["test"]; check.Tests != 2 || check.Failures != 1 || check.Status != pipeline.Failed {
		t.Errorf("%+v", check)
	}
	contains(t, failure.Error(), "Failing tests:\n  test_shop.test_price")
	for _, report := range result.Reports {
		if data, _ := os.ReadFile(report.Path); strings.Contains(string(data), "s3cr3t") {
			t.Errorf("%s shows a secret", report.Name)
		}
	}
	if strings.Contains(failure.Error(), "s3cr3t") {
		t.Errorf("the error shows a secret: %v", failure)
	}
}

func TestReportsDecideEvenWhenCommandsSucceed(t *testing.T) {
	t.Parallel()
	const red = "<testcase name='t'><failure/></testcase>"
	for tests, says := range map[string]string{red: "its reports name 1 failing test\n", red + red: "its reports name 2 failing tests\n"} {
		_, failure := newRig(t, nil).fails(withReport("r.xml", `echo "<testsuite name='s'>`+tests+`</testsuite>" > r.xml`))
		contains(t, failure.Error(), says, "s.t", "allow_failure")
	}
}

func TestReportsThatAreMissingOrBroken(t *testing.T) {
	t.Parallel()
	_, failure := newRig(t, nil).fails(withReport("out/*.xml", "true"))
	contains(t, failure.Error(), `no JUnit report that matches "out/*.xml"`)
	_, failure = newRig(t, nil).fails(withReport("r.xml", `printf '<testsuite>\n<testcase' > r.xml`))
	contains(t, failure.Error(), "its JUnit report r.xml cannot be read: line 2: unexpected EOF")
	_, failure = newRig(t, nil).fails(withReport("r.xml", `ln -s /etc/passwd r.xml`))
	contains(t, failure.Error(), "r.xml cannot be read: it is not a plain file")
	_, failure = newRig(t, nil).fails(withReport("r.xml", `mkfifo r.xml`))
	contains(t, failure.Error(), "not a plain file")
	_, failure = newRig(t, nil).fails(withReport("r.xml", `echo why; exit 1`)) // the command's failure is the news
	contains(t, failure.Error(), "status 1", "why")
}

func TestAReportFromTheCheckoutIsNotTheStages(t *testing.T) {
	t.Parallel()
	old := map[string]string{"r.xml": "<testsuite><testcase name='old'/></testsuite>"}
	_, failure := newRig(t, old).fails(withReport("r.xml", "true"))
	contains(t, failure.Error(), "no JUnit report that matches")
	result := newRig(t, old).must(withReport("r.xml", `echo "<testsuite><testcase name='new'/><testcase name='newer'/></testsuite>" > r.xml`))
	if result.Checks["test"].Tests != 2 {
		t.Errorf("%+v", result.Checks)
	}
}

func TestOnlyTheLastAttemptsReportsCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	flag := t.TempDir() + "/flag"
	stage := withReport("r.xml", "if test -e "+flag+`; then echo "<testsuite><testcase name='a'/></testsuite>" > r.xml; else touch `+flag+
		`; echo "<testsuite><testcase name='a'><failure/></testcase></testsuite>" > r.xml; exit 1; fi`)
	stage.Retries = 1
	result := r.must(stage)
	if check := result.Checks["test"]; check.Failures != 0 || check.Tests != 1 || check.Attempts != 2 {
		t.Errorf("%+v", check)
	}
	count := 0
	for _, report := range result.Reports {
		if report.Kind == pipeline.ReportJUnit {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%v", result.Reports)
	}
}
