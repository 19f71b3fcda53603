// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 1 << 20 // bytes of an answer
)

// Query measures one number.
type Query interface {
	// Run asks once. It is bounded in time and in what it reads.
	Run(ctx context.Context) (Sample, error)
	// Validate says what is wrong with the query itself; it asks nobody.
	Validate() error
}

// Sample is one measurement.
type Sample struct {
	Value  float64
	NoData bool // there was an answer, and no number in it
}

// HTTP gets a JSON document and takes the number at a JSON pointer (RFC 6901).
type HTTP struct {
	URL     string
	Headers map[string]string // may be secret; never shown
	Pointer string            // such as "/data/error_rate"; "" is the whole document
	Timeout time.Duration     // 0: ten seconds
	Client  *http.Client      // nil: http.DefaultClient
}

var _ Query = HTTP{}

// Validate checks URL and pointer.
func (q HTTP) Validate() error {
	if err := checkURL(q.URL); err != nil {
		return err
	}
	return checkPointer(q.Pointer)
}

// Run gets the document; any status but 200 is an error.
func (q HTTP) Run(ctx context.Context) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(q.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.URL, nil)
	if err != nil {
		return Sample{}, fmt.Errorf("GET %s: not a usable URL", withoutSecrets(q.URL))
	}
	status, body, err := ask(q.Client, req, q.Headers)
	if err != nil {
		return Sample{}, err
	}
	if status != http.StatusOK {
		return Sample{}, fmt.Errorf("GET %s: status %d: %s", withoutSecrets(q.URL), status, shorten(strings.TrimSpace(string(body))))
	}
	sample, err := extract(body, q.Pointer)
	if err != nil {
		return Sample{}, fmt.Errorf("GET %s: %w", withoutSecrets(q.URL), err)
	}
	return sample, nil
}

// Prometheus evaluates an instant query that gives one number.
type Prometheus struct {
	Address string            // such as "http://prometheus:9090", with a path prefix if there is one
	Expr    string            // PromQL
	Headers map[string]string // may be secret; never shown
	Timeout time.Duration     // 0: ten seconds
	Client  *http.Client      // nil: http.DefaultClient
}

var _ Query = Prometheus{}

// Validate checks the address and that there is an expression.
func (q Prometheus) Validate() error {
	if strings.TrimSpace(q.Expr) == "" {
		return errors.New("the PromQL expression is empty")
	}
	return checkURL(q.Address)
}

// Run evaluates now. An empty vector and NaN (such as 0/0, before there is
// traffic) are no data; more than one series is an error.
func (q Prometheus) Run(ctx context.Context) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(q.Timeout))
	defer cancel()
	form := url.Values{"query": {q.Expr}}
	endpoint := strings.TrimRight(q.Address, "/") + "/api/v1/query"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Sample{}, fmt.Errorf("query %s: not a usable URL", withoutSecrets(q.Address))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := ask(q.Client, req, q.Headers)
	if err != nil {
		return Sample{}, err
	}
	sample, err := parsePrometheus(status, body)
	if err != nil {
		return Sample{}, fmt.Errorf("query %s: %w", withoutSecrets(q.Address), err)
	}
	return sample, nil
}

// parsePrometheus reads the answer of /api/v1/query
// (https://prometheus.io/docs/prometheus/latest/querying/api/).
func parsePrometheus(status int, body []byte) (Sample, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Sample{}, fmt.Errorf("status %d, and the answer is not Prometheus's", status)
	}
	if status != http.StatusOK || answer.Status != "success" {
		return Sample{}, fmt.Errorf("status %d: %s", status, shorten(answer.Error))
	}
	switch answer.Data.ResultType {
	case "scalar":
		return point(answer.Data.Result)
	case "vector":
		var series []struct {
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
			return Sample{}, errors.New("the vector is malformed")
		}
		switch len(series) {
		case 0:
			return Sample{NoData: true}, nil
		case 1:
			return point(series[0].Value)
		}
		return Sample{}, fmt.Errorf("the expression gives %d series; aggregate them to one, for example with sum()", len(series))
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
	return number(value)
}

// ask makes the request and reads a bounded answer.
func ask(client *http.Client, req *http.Request, headers map[string]string) (int, []byte, error) {
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	if client == nil {
		client = http.DefaultClient
	}
	where := req.Method + " " + withoutSecrets(req.URL.String())
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // its text repeats the URL, query and all
		}
		return 0, nil, fmt.Errorf("%s: %w", where, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("%s: reading the answer: %w", where, err)
	}
	if len(body) > maxAnswer {
		return 0, nil, fmt.Errorf("%s: the answer is larger than %d bytes", where, maxAnswer)
	}
	return res.StatusCode, body, nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not an http or https URL", withoutSecrets(text))
	}
	return nil
}

// withoutSecrets keeps of a URL what can be shown.
func withoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return shorten(u.String())
}

func orDefault(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return defaultTimeout
	}
	return timeout
}
