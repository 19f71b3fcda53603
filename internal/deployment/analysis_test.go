// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

var gate = rollout.Gate{
	Revision:  deployer.RevisionInfo{ID: "1.5.0-0a1b2c3d4e5f", ReleaseID: "shop:1.5.0", Version: "1.5.0"},
	Instances: []string{"app-1", "app-2"},
}

func conditionOf(t *testing.T, text string) analysis.Condition {
	t.Helper()
	c, err := analysis.ParseCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judged is what an analysis of one query made of its gate.
func judged(t *testing.T, query analysis.Query, change func(*analysis.Criterion)) *deployer.Error {
	t.Helper()
	c := analysis.Criterion{Name: "errors", Query: query, Success: conditionOf(t, "<= 0.05"), NoData: analysis.NoDataFails, Count: 1, Interval: time.Millisecond}
	if change != nil {
		change(&c)
	}
	err := Spec{Analyses: []analysis.Criterion{c}}.analyzer().Analyze(t.Context(), gate)
	if err == nil {
		return nil
	}
	var e *deployer.Error
	if !errors.As(err, &e) || e.Step != "analysis" {
		t.Fatalf("the error is %#v", err)
	}
	return e
}

func TestAnalysisByPrometheus(t *testing.T) {
	t.Parallel()
	server := testrig.NewPrometheus(t, testrig.NewMetrics(t, func() string {
		return "shop_error_ratio{version=\"1.4.0\"} 0.01\nshop_error_ratio{version=\"1.5.0\"} 0.25\n"
	}))
	server.Await("shop_error_ratio")
	query := func(expr string) analysis.Prometheus {
		return analysis.Prometheus{Address: server.URL, Expr: expr, Headers: map[string]string{"Authorization": "Bearer s3cret"}}
	}
	if e := judged(t, query(`shop_error_ratio{version="1.4.0"}`), nil); e != nil {
		t.Error(e)
	}
	e := judged(t, query(`max(shop_error_ratio{version="{{version}}"})`), func(c *analysis.Criterion) {
		c.Count, c.FailureLimit, c.Failure = 3, 1, conditionOf(t, "> 0.5")
	})
	if e == nil || e.Code != deployer.CodeFailed {
		t.Fatal(e)
	}
	want := `analysis "errors" does not hold: 0.25 is not <= 0.05 (2 failed measurements, 1 allowed). It must be <= 0.05 and never > 0.5, and asks: max(shop_error_ratio{version="1.5.0"}) at ` + server.URL
	if e.Message != want {
		t.Errorf("it says %s\nwant %s", e.Message, want)
	}
	if len(e.Log) != 2 || !strings.HasSuffix(e.Log[0], "  does not hold  0.25") || !strings.HasPrefix(e.Log[0], time.Now().UTC().Format("2006-")) {
		t.Errorf("the measurements are %q", e.Log)
	}
	if want := `Find out what revision 1.5.0-0a1b2c3d4e5f does on app-1, app-2; if it does well, correct the conditions of analysis "errors"`; e.Advice != want {
		t.Errorf("it advises %s", e.Advice)
	}
	if e := judged(t, query(`shop_error_ratio{version="9"}`), nil); e == nil || !strings.Contains(e.Message, "there is no data") || !strings.Contains(e.Advice, "no_data") {
		t.Error(e)
	}
	server.Stop()
	e = judged(t, query("shop_error_ratio"), func(c *analysis.Criterion) { c.NoData = analysis.NoDataPasses })
	if e == nil || !strings.Contains(e.Message, "connection refused") || !strings.Contains(e.Advice, "Nothing is known against the revision") || strings.Contains(fmt.Sprint(*e), "s3cret") {
		t.Error(e)
	}
}

// Only the last measurements are shown, and how many there were before.
func TestManyMeasurements(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, max(0, n.Add(1)-12))
	}))
	t.Cleanup(server.Close)
	e := judged(t, analysis.HTTP{URL: server.URL}, func(c *analysis.Criterion) { c.Count = 20 })
	if e == nil || len(e.Log) != 11 || e.Log[0] != "(3 earlier measurements)" || !strings.HasSuffix(e.Log[1], "  holds  0") || !strings.HasSuffix(e.Log[10], "  does not hold  1") {
		t.Errorf("%+v", e)
	}
}

// staged is a query that tells when it is asked and answers when it is let.
type staged struct {
	asked chan struct{}
	value float64
	let   <-chan struct{}
}

func (q staged) Run(ctx context.Context) (analysis.Sample, error) {
	close(q.asked)
	select {
	case <-q.let:
		return analysis.Sample{Value: q.value}, nil
	case <-ctx.Done():
		return analysis.Sample{}, ctx.Err()
	}
}

func (q staged) Validate() error                                { return nil }
func (q staged) About(analysis.Subject) (analysis.Query, error) { return q, nil }
func (q staged) String() string                                 { return "a stage" }

func stagedCriterion(t *testing.T, name string, value float64, let <-chan struct{}) analysis.Criterion {
	return analysis.Criterion{
		Name: name, Query: staged{make(chan struct{}), value, let}, Success: conditionOf(t, "== 1"), NoData: analysis.NoDataFails, Count: 1,
	}
}

func askedOf(c analysis.Criterion) <-chan struct{} { return c.Query.(staged).asked }

// The analyses of a gate run at the same time, and the first failure ends all.
func TestTheFirstFailureEndsTheOthers(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	bad := stagedCriterion(t, "bad", 0, let)
	endless, endlessToo := stagedCriterion(t, "endless", 1, nil), stagedCriterion(t, "endless too", 1, nil)
	go func() {
		<-askedOf(endless)
		<-askedOf(endlessToo)
		close(let)
	}()
	err := Spec{Analyses: []analysis.Criterion{endless, bad, endlessToo}}.analyzer().Analyze(t.Context(), gate)
	if e := deployer.AsError(err); e == nil || e.Code != deployer.CodeFailed || !strings.Contains(e.Message, `analysis "bad" does not hold: 0 is not == 1`) {
		t.Error(err)
	}
}

func TestAnalysisIsCancelled(t *testing.T) {
	t.Parallel()
	endless := stagedCriterion(t, "endless", 1, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-askedOf(endless)
		cancel()
	}()
	err := Spec{Analyses: []analysis.Criterion{endless}}.analyzer().Analyze(ctx, gate)
	if deployer.CodeOf(err) != deployer.CodeInterrupted {
		t.Error(err)
	}
}

func TestGatesNameTheirAnalyses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		named []string
		asked []string
		want  string
	}{
		{nil, []string{"a", "b"}, ""}, {[]string{}, nil, ""}, {[]string{"b"}, []string{"b"}, ""}, {[]string{"b", "c"}, nil, `there is no analysis "c"`},
	} {
		open := make(chan struct{})
		close(open)
		criteria := []analysis.Criterion{stagedCriterion(t, "a", 1, open), stagedCriterion(t, "b", 1, open)}
		at := gate
		at.Analyses = c.named
		err := Spec{Analyses: criteria}.analyzer().Analyze(t.Context(), at)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v", c.named, err)
		}
		var asked []string
		for _, criterion := range criteria {
			select {
			case <-askedOf(criterion):
				asked = append(asked, criterion.Name)
			default:
			}
		}
		if !slices.Equal(asked, c.asked) {
			t.Errorf("%q: asked %q", c.named, asked)
		}
	}
	if (Spec{}).analyzer() != nil {
		t.Error("there is an analyzer without analyses")
	}
}

func TestCheckAnalyses(t *testing.T) {
	t.Parallel()
	good := analysis.Criterion{Name: "errors", Query: analysis.Prometheus{Address: "http://p", Expr: "up"}, Success: conditionOf(t, "== 1"), NoData: analysis.NoDataFails, Count: 1}
	unknown, nameless := good, good
	unknown.Query = analysis.Prometheus{Address: "http://p", Expr: `up{x="{{pod}}"}`}
	nameless.Name = ""
	canary := func(names ...string) rollout.Strategy {
		return rollout.Canary{Steps: []rollout.CanaryStep{{}, {Analyses: names}}}
	}
	for want, spec := range map[string]Spec{
		"":                            {Analyses: []analysis.Criterion{good}, Strategy: canary("errors")},
		`two analyses "errors"`:       {Analyses: []analysis.Criterion{good, good}},
		"{{pod}} is not a place":      {Analyses: []analysis.Criterion{unknown}},
		"has no name":                 {Analyses: []analysis.Criterion{nameless}},
		`step 2 of the canary names`:  {Analyses: []analysis.Criterion{good}, Strategy: canary("errors", "latency")},
		`the analysis "x", which the`: {Strategy: canary("x")},
	} {
		err := spec.CheckAnalyses()
		if want == "" && err != nil || want != "" && (deployer.CodeOf(err) != deployer.CodeInvalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
