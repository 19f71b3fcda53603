// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Prometheus evaluates an instant query that gives one number.
type Prometheus struct {
	Address string            // such as "http://prometheus:9090", with a path prefix if there is one
	Expr    string            // PromQL, with placeholders of a [Subject]
	Headers map[string]string // may be secret; never shown
	Timeout time.Duration     // 0: ten seconds
	Client  *http.Client      // nil: one of this package; redirects stay on the server either way
}

var _ Query = Prometheus{}

// Validate checks the address, the headers, the timeout and that there is an
// expression; its PromQL is for the server to judge.
func (q Prometheus) Validate() error {
	if strings.TrimSpace(q.Expr) == "" {
		return errors.New("the PromQL expression is empty")
	}
	if err := checkPlaceholders(q.Expr); err != nil {
		return fmt.Errorf("the PromQL expression: %w", err)
	}
	return checkRequest(q.Address, q.Headers, q.Timeout)
}

// About fills in the expression.
func (q Prometheus) About(subject Subject) (Query, error) {
	var err error
	if q.Expr, err = fill(q.Expr, subject.members(), inPromQL); err != nil {
		return nil, fmt.Errorf("the PromQL expression: %w", err)
	}
	return q, nil
}

func (q Prometheus) String() string {
	return shortenTo(500, strings.Join(strings.Fields(q.Expr), " ")) + " at " + withoutSecrets(q.Address)
}

// Run evaluates now. An empty vector and NaN (such as 0/0, before there is
// traffic) are no data; more than one series is an error.
func (q Prometheus) Run(ctx context.Context) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, hopelessError{err}
	}
	address, err := url.Parse(q.Address)
	if err != nil {
		return Sample{}, hopelessError{checkURL(q.Address)}
	}
	to := question{client: q.Client, headers: q.Headers, timeout: q.Timeout, secrets: secretsOf(q.Address, q.Headers)}
	form := url.Values{"query": {q.Expr}, "timeout": {formatNumber(orDefault(q.Timeout).Seconds())}}
	status, body, err := to.ask(ctx, http.MethodPost, address.JoinPath("api/v1/query").String(), form)
	if err != nil {
		return Sample{}, err
	}
	sample, err := parsePrometheus(status, body)
	if err == nil {
		return sample, nil
	}
	text := fmt.Errorf("query %s: %s", withoutSecrets(q.Address), to.secrets.hide(err.Error()))
	if hopeless := (hopelessError{}); errors.As(err, &hopeless) {
		return Sample{}, hopelessError{text}
	}
	return Sample{}, text
}

// parsePrometheus reads the answer of /api/v1/query
// (https://prometheus.io/docs/prometheus/latest/querying/api/).
func parsePrometheus(status int, body []byte) (Sample, error) {
	var answer struct {
		Status    string `json:"status"`
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
		Data      struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Sample{}, fmt.Errorf("status %d, and the answer is not Prometheus's", status)
	}
	if status != http.StatusOK || answer.Status != "success" {
		err := fmt.Errorf("status %d: %s", status, shortenTo(300, answer.Error))
		if answer.ErrorType == "bad_data" { // the expression itself is wrong
			return Sample{}, hopelessError{err}
		}
		return Sample{}, err
	}
	switch answer.Data.ResultType {
	case "scalar":
		return point(answer.Data.Result)
	case "vector":
		var series []struct {
			Value     json.RawMessage `json:"value"`
			Histogram json.RawMessage `json:"histogram"`
		}
		if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
			return Sample{}, errors.New("the vector is malformed")
		}
		switch {
		case len(series) == 0:
			return Sample{NoData: true}, nil
		case len(series) > 1:
			return Sample{}, fmt.Errorf("the expression gives %d series; aggregate them to one, for example with sum()", len(series))
		case series[0].Histogram != nil:
			return Sample{}, errors.New("the expression gives a histogram, not a number; take one from it, for example with histogram_quantile()")
		}
		return point(series[0].Value)
	}
	return Sample{}, fmt.Errorf("the expression gives a %s, not a number", shorten(answer.Data.ResultType))
}

// point reads [time, "value"].
func point(raw json.RawMessage) (Sample, error) {
	var pair []json.RawMessage
	var value string
	if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 || json.Unmarshal(pair[1], &value) != nil {
		return Sample{}, errors.New("the value is malformed")
	}
	return measured(value)
}
