// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		value float64
		holds bool
	}{
		{">= 0.92", 0.92, true}, {">=0.92", 0.91, false}, {"== 1", 1, true}, {"< 5", 5, false}, {" < 5 ", 4.9, true},
		{"> -1e3", 0, true}, {"<= 0", 0, true}, {"!= 2", 3, true}, {"!= 2", 2, false}, {"!= 2", math.NaN(), false},
		{"< 5", math.Inf(-1), true}, {">= 0.2, < 0.8", 0.2, true}, {">= 0.2, < 0.8", 0.8, false}, {"<0.8,>=0.2", 0.1, false},
		{"<= 3, >= 3", 3, true}, {">= 9007199254740993", 9007199254740992, true},
	} {
		condition, err := analysis.ParseCondition(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if got := condition.Holds(c.value); got != c.holds {
			t.Errorf("%v %s: %v", c.value, c.text, got)
		}
	}
	for text, want := range map[string]string{
		"": "begins with none of", "0.92": "begins with none of", "=> 1": "begins with none of", ">=": "the number is missing",
		"> one": "not a decimal", "> 1 2": "not a decimal", "> NaN": "not a decimal", "> inf": "not a decimal",
		"> 1, > 2": "a lower and an upper end", "== 1, < 2": "a lower and an upper end", "> 2, < 1": "no number meets both",
		"> 1, <= 1": "no number meets both", "> 1, < 2, < 3": "more than two", "> 1,": "begins with none of", "== 9007199254740993": "cannot be compared for equality",
		"> 0x10": "not a decimal", "> 1_000": "not a decimal", "> 1e999": "too large", ">= = 1": "not a decimal",
	} {
		if _, err := analysis.ParseCondition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if (analysis.Condition{}).Holds(1) {
		t.Error("no condition holds")
	}
}

// serve answers one body at every path.
func serve(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/query" && r.FormValue("query") != "up" {
			t.Errorf("asked for %q", r.FormValue("query"))
		}
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

var auth = map[string]string{"Authorization": "Bearer s3cret"}

func TestHTTP(t *testing.T) {
	t.Parallel()
	const document = `{"data":[{"rate":0.25,"text":"7","up":true,"down":false,"none":null,"hex":"0x10","empty":"","inf":"-Inf","huge":1e999,"a/b":{"~":3}}]}`
	for pointer, want := range map[string]string{
		"/data/0/rate": "0.25", "/data/0/text": "7", "/data/0/up": "1", "/data/0/down": "0", "/data/0/a~1b/~0": "3",
		"/data/0/hex": "not a decimal number", "/data/0/empty": "not a number", "/data/0/inf": "-Inf", "/data/0/huge": "too large",
		"/data/0/none": "no data", "/data/1/rate": "no data", "/data/00/rate": "no data", "/absent": "no data", "/data/0/rate/x": "no data",
		"/data": "the value at /data is not a number", "": "the answer is not a number",
		"data": "is not a JSON pointer", "/a~2": "~ must be followed by 0 or 1", "/a~": "~ must be followed by 0 or 1",
	} {
		query := analysis.HTTP{URL: serve(t, 200, document), Headers: auth, Pointer: pointer}
		expect(t, pointer, query, want)
	}
	for body, want := range map[string]string{"<html>": "not JSON", "1 2": "more than one JSON value", "NaN": "not JSON", "\"NaN\"": "no data", strings.Repeat("1", 2<<20): "larger than"} {
		expect(t, shown(body), analysis.HTTP{URL: serve(t, 200, body), Headers: auth}, want)
	}
	expect(t, "status", analysis.HTTP{URL: serve(t, 503, "busy"), Headers: auth}, "status 503: busy")
	expect(t, "scheme", analysis.HTTP{URL: "file:///etc/passwd"}, "not an http or https URL")
}

func TestNothingSecretInErrors(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://user:s3cret@127.0.0.1:1/?token=s3cret", "http://127.0.0.1:1/x?token=s3cret#s3cret", "ftp://u:s3cret@h/"} {
		for _, query := range []analysis.Query{
			analysis.HTTP{URL: target, Headers: auth}, analysis.Prometheus{Address: target, Expr: "up", Headers: auth},
		} {
			if _, err := query.Run(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%T: %v", query, err)
			}
		}
	}
}

func TestPrometheus(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.99"]}]}}`:            "0.99",
		`{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}`:                                       "3",
		`{"status":"success","data":{"resultType":"vector","result":[]}}`:                                            "no data",
		`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"NaN"]}]}}`:                         "no data",
		`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"+Inf"]}]}}`:                        "+Inf",
		`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2"]}]}}`:         "gives 2 series",
		`{"status":"success","data":{"resultType":"matrix","result":[]}}`:                                            "gives a matrix",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"2"}]}]}}`: "gives a histogram",
		`{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`:                                       "gives a string, not a number",
		`{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}`:                               "malformed",
		`{"status":"success","data":{"resultType":"vector","result":7}}`:                                             "malformed",
		`{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}`:                   "parse error",
		"<html>": "not Prometheus's",
	} {
		expect(t, body, analysis.Prometheus{Address: serve(t, 200, body) + "/", Expr: "up", Headers: auth}, want)
	}
	expect(t, "refused", analysis.Prometheus{Address: serve(t, 200, ""), Expr: "up"}, "status 401")
	expect(t, "empty", analysis.Prometheus{Address: "http://p", Expr: " "}, "expression is empty")
}

func TestAnAnswerThatNeverComes(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	expect(t, "hang", analysis.HTTP{URL: server.URL, Timeout: 20 * time.Millisecond}, "no answer within 20ms")
}

func expect(t *testing.T, what string, query analysis.Query, want string) {
	t.Helper()
	sample, err := query.Run(t.Context())
	got := fmt.Sprint(sample.Value)
	switch {
	case err != nil:
		got = err.Error()
	case sample.NoData:
		got = "no data"
	}
	if got != want && (err == nil || !strings.Contains(got, want)) {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func shown(s string) string { return s[:min(len(s), 20)] }

// script answers one sample after another.
type script struct {
	samples []any
	n       int
}

func (s *script) Validate() error { return nil }

func (s *script) About(analysis.Subject) (analysis.Query, error) { return s, nil }

func (s *script) String() string { return "a script" }

func (s *script) Run(context.Context) (analysis.Sample, error) {
	next := s.samples[s.n]
	s.n++
	switch v := next.(type) {
	case float64:
		return analysis.Sample{Value: v}, nil
	case error:
		return analysis.Sample{}, v
	}
	return analysis.Sample{NoData: true}, nil
}

// clock does not wait.
type clock struct {
	now   time.Time
	stops int // sleeps until the context ends
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	if c.stops--; c.stops == 0 {
		return context.Canceled
	}
	c.now = c.now.Add(d)
	return nil
}

func TestJudging(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		samples []any
		noData  analysis.NoData
		limit   int
		failure string
		want    string // "" holds
		asked   int
	}{
		"infinite":                 {samples: []any{math.Inf(1)}, want: "rate: +Inf is infinite, which never counts as >= 0.95 (1 failed", asked: 1},
		"all hold":                 {samples: []any{0.99, 0.98, 0.97, 0.96}, asked: 4},
		"too many fail":            {samples: []any{0.99, 0.5, 0.99, 0.6}, limit: 1, want: "rate: 0.6 is not >= 0.95 (2 failed measurements, 1 allowed)", asked: 4},
		"as many as allowed":       {samples: []any{0.99, 0.5, 0.99, 0.97}, limit: 1, asked: 4},
		"fails early":              {samples: []any{0.5}, want: "rate: 0.5 is not >= 0.95", asked: 1},
		"the failure condition":    {samples: []any{0.99, 0.1}, limit: 3, failure: "< 0.2", want: "rate: 0.1 is < 0.2, which ends the analysis", asked: 2},
		"no data fails":            {samples: []any{nil}, want: "rate: there is no data", asked: 1},
		"no data passes":           {samples: []any{nil, 0.99, nil, nil}, noData: analysis.NoDataPasses, asked: 4},
		"an error counts":          {samples: []any{errors.New("refused"), 0.99, 0.99, 0.99}, limit: 1, asked: 4},
		"too many errors":          {samples: []any{errors.New("refused")}, noData: analysis.NoDataPasses, want: "rate: refused", asked: 1},
		"no data is not a failure": {samples: []any{nil, 0.99, 0.99, 0.99}, failure: "< 1e-9", noData: analysis.NoDataPasses, asked: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			criterion := analysis.Criterion{Name: "rate", Success: condition(t, ">= 0.95"), NoData: analysis.NoDataFails, Count: 4, InitialDelay: time.Hour, Interval: time.Minute, FailureLimit: c.limit}
			if c.noData != "" {
				criterion.NoData = c.noData
			}
			if c.failure != "" {
				criterion.Failure = condition(t, c.failure)
			}
			asked := &script{samples: c.samples}
			criterion.Query = asked
			watch := &clock{}
			report, err := criterion.Judge(t.Context(), watch)
			got := ""
			if err != nil {
				got = err.Error()
				var failed *analysis.FailedError
				if !errors.As(err, &failed) {
					t.Errorf("the error is a %T", err)
				}
			}
			if (c.want == "") != (got == "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if asked.n != c.asked || len(report.Measurements) != c.asked || watch.now.Sub(time.Time{}) != time.Hour+time.Duration(c.asked-1)*time.Minute {
				t.Errorf("asked %d times in %s, want %d", asked.n, watch.now.Sub(time.Time{}), c.asked)
			}
		})
	}
}

func TestJudgingIsStopped(t *testing.T) {
	t.Parallel()
	criterion := analysis.Criterion{
		Name: "rate", Success: condition(t, "> 0"), NoData: analysis.NoDataFails, Count: 3, Interval: time.Second,
		Query: &script{samples: []any{1.0, 1.0, 1.0}},
	}
	_, err := criterion.Judge(t.Context(), &clock{stops: 2})
	var failed *analysis.FailedError
	if !errors.Is(err, context.Canceled) || errors.As(err, &failed) || !strings.Contains(err.Error(), "after 2 of 3") {
		t.Error(err)
	}
}

func TestSenselessCriteria(t *testing.T) {
	t.Parallel()
	good := analysis.Criterion{Name: "rate", Query: &script{}, Success: condition(t, "> 0"), NoData: analysis.NoDataFails, Count: 2, Interval: time.Second}
	for want, change := range map[string]func(*analysis.Criterion){
		"no query":             func(c *analysis.Criterion) { c.Query = nil },
		"no success condition": func(c *analysis.Criterion) { c.Success = analysis.Condition{} },
		"count must":           func(c *analysis.Criterion) { c.Count = 0 },
		"not be negative":      func(c *analysis.Criterion) { c.Interval = -1 },
		"need an interval":     func(c *analysis.Criterion) { c.Interval = 0 },
		"failure_limit":        func(c *analysis.Criterion) { c.FailureLimit = 2 },
		"no_data must be":      func(c *analysis.Criterion) { c.NoData = "" },
		"timeout must":         func(c *analysis.Criterion) { c.Query = analysis.Command{Argv: []string{"x"}, Timeout: -1} },
		"not the name": func(c *analysis.Criterion) {
			c.Query = analysis.HTTP{URL: "http://h", Headers: map[string]string{"a b": "c"}}
		},
		"control characters": func(c *analysis.Criterion) {
			c.Query = analysis.HTTP{URL: "http://h", Headers: map[string]string{"a": "c\n"}}
		},
		"command is empty": func(c *analysis.Criterion) { c.Query = analysis.Command{} },
	} {
		c := good
		change(&c)
		if _, err := c.Judge(t.Context(), &clock{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func condition(t *testing.T, text string) analysis.Condition {
	t.Helper()
	c, err := analysis.ParseCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
