// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"crypto/x509"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// statusRange is an HTTP status or a range of them.
type statusRange struct{}

func (statusRange) Description(context.Context) string {
	return `a status, such as "301", or a range of them, such as "200-299"`
}
func (v statusRange) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v statusRange) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a range of statuses", func(s string) string {
		if _, ok := parseStatuses(s); ok {
			return ""
		}
		return quote(s) + " is not possible here: write " + v.Description(ctx) + ", between 100 and 599."
	})
}

// parseStatuses reads "301" or "200-299".
func parseStatuses(text string) (deployer.StatusRange, bool) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	ok := err1 == nil && err2 == nil && len(from) == 3 && len(to) == 3 && first >= 100 && first <= last && last <= 599
	return deployer.StatusRange{From: first, To: last}, ok
}

// regularExpression is one as Go reads it.
type regularExpression struct{}

func (regularExpression) Description(context.Context) string {
	return `a regular expression (RE2), such as "^ok"`
}
func (v regularExpression) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v regularExpression) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a regular expression", func(s string) string {
		if _, err := regexp.Compile(s); err != nil {
			return sentence(err.Error()) + " The syntax is RE2's: https://github.com/google/re2/wiki/Syntax"
		}
		return ""
	})
}

// certificates are X.509 certificates as PEM.
type certificates struct{}

func (certificates) Description(context.Context) string {
	return "certificates as PEM, which begin with -----BEGIN CERTIFICATE-----"
}
func (v certificates) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v certificates) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "No certificates", func(s string) string {
		if x509.NewCertPool().AppendCertsFromPEM([]byte(s)) {
			return ""
		}
		return "There is no certificate in the text: give " + v.Description(ctx) + `, for example by file("ca.pem").`
	})
}

var (
	headerNamePattern  = lazyregexp.New("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
	headerValuePattern = lazyregexp.New(`^[\t -~\x{80}-\x{10FFFF}]*$`)
)

// headerName is the name of an HTTP header.
type headerName struct{}

func (headerName) Description(context.Context) string {
	return `the name of an HTTP header, such as "Accept", without a colon`
}
func (v headerName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v headerName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not the name of a header", func(s string) string {
		if headerNamePattern.MatchString(s) {
			return ""
		}
		return quote(s) + " is not possible here: write " + v.Description(ctx) + "."
	})
}

// headerValue is the value of an HTTP header. It may be secret, so no message
// shows it.
type headerValue struct{}

func (headerValue) Description(context.Context) string {
	return "one line of text"
}
func (v headerValue) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v headerValue) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not the value of a header", func(s string) string {
		if headerValuePattern.MatchString(s) {
			return ""
		}
		return "The value has a line break or another control character: use trimspace() if it comes from a file."
	})
}
