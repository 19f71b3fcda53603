// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// shop reports an old version that does well and a new one that fails one
// request in four, and counts a hundred requests of each at every scrape.
func shop() func() string {
	var scrapes atomic.Int64
	return func() string {
		n := scrapes.Add(1)
		return fmt.Sprintf(`shop_up{version="1.4.0",pod="app-1"} 1
shop_up{version="1.5.0+b1",pod="app.2"} 1
shop_up{version="1.5.0+b1",pod="appx2"} 1
shop_requests_total{version="1.4.0"} %[1]d
shop_requests_total{version="1.5.0+b1"} %[1]d
shop_errors_total{version="1.4.0"} 0
shop_errors_total{version="1.5.0+b1"} %[2]d
`, 100*n, 25*n)
	}
}

const errorRate = `sum(rate(shop_errors_total{version="{{version}}"}[30s])) / sum(rate(shop_requests_total{version="{{version}}"}[30s]))`

func TestWithPrometheus(t *testing.T) {
	t.Parallel()
	server := testrig.NewPrometheus(t, testrig.NewMetrics(t, shop()))
	server.Await(strings.ReplaceAll(errorRate, "{{version}}", "1.5.0+b1"))
	for name, c := range map[string]struct {
		expr, success, version string
		noData                 analysis.NoData
		want                   string // "" holds
		taken                  int
	}{
		"the old version does well":      {expr: errorRate, success: "<= 0.05", version: "1.4.0", taken: 2},
		"the new one does not":           {expr: errorRate, success: "<= 0.05", version: "1.5.0+b1", want: "0.25 is not <= 0.05 (2 failed measurements, 1 allowed)", taken: 2},
		"a range holds":                  {expr: errorRate, success: "> 0.2, <= 0.25", version: "1.5.0+b1", taken: 2},
		"instances are matched whole":    {expr: `count(shop_up{pod=~"{{instances}}"})`, success: "== 2", taken: 2},
		"several series":                 {expr: `shop_up{version="{{version}}"}`, success: "== 1", version: "1.5.0+b1", want: "the expression gives 2 series", taken: 2},
		"nobody reports: bad":            {expr: `max(shop_up{version="{{version}}"})`, success: "== 1", version: "9", want: "there is no data", taken: 2},
		"nobody reports: good":           {expr: `max(shop_up{version="{{version}}"})`, success: "== 1", version: "9", noData: analysis.NoDataPasses, taken: 2},
		"nothing of nothing: bad":        {expr: "vector(0) / 0", success: "< 1", want: "there is no data", taken: 2},
		"nothing of nothing: good":       {expr: "vector(0) / 0", success: "< 1", noData: analysis.NoDataPasses, taken: 2},
		"something of nothing":           {expr: "vector(1) / 0", success: "> 1", noData: analysis.NoDataPasses, want: "+Inf is infinite", taken: 2},
		"less than something of nothing": {expr: "vector(-1) / 0", success: "< 1", noData: analysis.NoDataPasses, want: "-Inf is infinite", taken: 2},
		"a scalar":                       {expr: "scalar(vector(3))", success: "== 3", taken: 2},
		"a comparison that filters":      {expr: "vector(1) > 2", success: "== 0", want: "there is no data", taken: 2},
		"a range vector":                 {expr: "shop_up[1m]", success: "> 0", want: "gives a matrix", taken: 2},
		"a string":                       {expr: `"1"`, success: "> 0", want: "gives a string", taken: 2},
		"nonsense ends at once":          {expr: "sum(", success: "> 0", noData: analysis.NoDataPasses, want: "status 400: invalid parameter \"query\": 1:5: parse error", taken: 1},
	} {
		criterion := analysis.Criterion{
			Name: "rate", Query: about(t, analysis.Prometheus{Address: server.URL, Expr: c.expr}, c.version), Success: condition(t, c.success),
			NoData: analysis.NoDataFails, Count: 2, Interval: time.Second, FailureLimit: 1,
		}
		if c.noData != "" {
			criterion.NoData = c.noData
		}
		report, err := criterion.Judge(t.Context(), &clock{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if report.Taken != c.taken {
			t.Errorf("%s: %d measurements, want %d", name, report.Taken, c.taken)
		}
	}
}

func about(t *testing.T, query analysis.Query, version string) analysis.Query {
	t.Helper()
	if version == "" {
		version = "1.4.0"
	}
	query, err := query.About(analysis.Subject{Version: version, Instances: []string{"app-1", "app.2"}})
	if err != nil {
		t.Fatal(err)
	}
	return query
}

// A server that is away for one measurement is a failed measurement: within the
// limit it is forgiven, and never taken for a good one.
func TestPrometheusIsAway(t *testing.T) {
	t.Parallel()
	server := testrig.NewPrometheus(t)
	for limit, want := range []string{"connection refused (1 failed measurements, 0 allowed)", ""} {
		criterion := analysis.Criterion{
			Name: "rate", Query: analysis.Prometheus{Address: server.URL, Expr: "vector(1)"}, Success: condition(t, "== 1"),
			NoData: analysis.NoDataPasses, Count: 3, Interval: time.Second, FailureLimit: limit,
		}
		report, err := criterion.Judge(t.Context(), &outage{server: server})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("limit %d: %v, want %q", limit, err, want)
		}
		if report.Failed != 1 || report.Measurements[1].OK || report.Measurements[1].Err == nil {
			t.Errorf("limit %d: %v", limit, report.Measurements)
		}
		if limit == 0 {
			server.Start()
		}
	}
}

// outage is a clock during whose first sleep a server goes, to come back during
// the second.
type outage struct {
	clock
	server *testrig.Prometheus
	sleeps int
}

func (o *outage) Sleep(ctx context.Context, d time.Duration) error {
	switch o.sleeps++; o.sleeps {
	case 1:
		o.server.Stop()
	case 2:
		o.server.Start()
	default:
		return errors.New("asked too often")
	}
	return o.clock.Sleep(ctx, d)
}
