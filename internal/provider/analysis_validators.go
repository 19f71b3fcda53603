// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"net/url"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
)

// condition compares a measured number with a bound.
type condition struct{}

func (condition) Description(context.Context) string {
	return `a comparison with a number, such as ">= 0.99"`
}
func (v condition) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v condition) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a condition", func(s string) string {
		if _, err := analysis.ParseCondition(s); err != nil {
			return sentence(err.Error())
		}
		return ""
	})
}

// jsonPointer leads to a value in a JSON document.
type jsonPointer struct{}

func (jsonPointer) Description(context.Context) string {
	return `a JSON pointer (RFC 6901), such as "/data/error_rate"`
}
func (v jsonPointer) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v jsonPointer) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a JSON pointer", func(s string) string {
		if err := (analysis.HTTP{URL: "http://localhost", Pointer: s}).Validate(); err != nil {
			return sentence(err.Error())
		}
		return ""
	})
}

// webAddress is the URL of an HTTP server, without credentials.
type webAddress struct{}

func (webAddress) Description(context.Context) string {
	return `an http or https URL without a user or password, such as "http://prometheus:9090"`
}
func (v webAddress) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v webAddress) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a usable URL", func(s string) string {
		if err := (analysis.HTTP{URL: s}).Validate(); err != nil {
			return sentence(err.Error())
		}
		if u, err := url.Parse(s); err == nil && u.User != nil {
			return "A user or a password in a URL would be kept in the state: take it out, and set the header Authorization in headers_wo."
		}
		return ""
	})
}

// promQL is a PromQL expression, as far as its placeholders go.
type promQL struct{}

func (promQL) Description(context.Context) string {
	return "a PromQL expression with no unknown placeholder"
}
func (v promQL) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v promQL) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a usable query", func(s string) string {
		if err := (analysis.Prometheus{Address: "http://localhost", Expr: s}).Validate(); err != nil {
			return sentence(err.Error())
		}
		return ""
	})
}
