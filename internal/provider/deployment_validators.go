// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

// Bounds of what a health check may be told to wait.
const (
	minInterval = 10 * time.Millisecond
	maxWait     = 24 * time.Hour
)

// variableName is the name of an environment variable.
type variableName struct{}

var variablePattern = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)

func (variableName) Description(context.Context) string {
	return "letters, digits and underscores, not beginning with a digit"
}
func (v variableName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v variableName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid variable name", func(s string) string {
		if variablePattern.MatchString(s) {
			return ""
		}
		return fmt.Sprintf("%s cannot be the name of an environment variable: use %s.", quote(s), v.Description(ctx))
	})
}

// releaseID is "<pipeline>:<version>".
type releaseID struct{}

func (releaseID) Description(context.Context) string {
	return "the id of a release, <pipeline>:<version>"
}
func (v releaseID) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v releaseID) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a release id", func(s string) string {
		if _, _, err := deployment.SplitReleaseID(s); err != nil {
			return err.Error() + "."
		}
		return ""
	})
}

// notEmpty is a text with something in it.
type notEmpty struct{ what string } // such as "a command"

func (v notEmpty) Description(context.Context) string { return v.what + ", not an empty text" }
func (v notEmpty) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}
func (v notEmpty) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "An empty text", func(s string) string {
		if strings.TrimSpace(s) == "" {
			return "Write " + v.Description(ctx) + "."
		}
		return ""
	})
}

// distinct is a list of names, each there once.
type distinct struct{ what string } // such as "an instance"

func (v distinct) Description(context.Context) string {
	return "names, each of " + v.what + " and each only once"
}
func (v distinct) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v distinct) ValidateList(ctx context.Context, req validator.ListRequest, resp *validator.ListResponse) {
	d := Diagnostics{Diagnostics: &resp.Diagnostics}
	seen := map[string]bool{}
	for n, element := range req.ConfigValue.Elements() {
		name, ok := element.(types.String)
		switch {
		case !ok || name.IsUnknown():
		case name.ValueString() == "":
			d.Invalid(req.Path.AtListIndex(n), "No name", "Write "+v.Description(ctx)+".")
		case seen[name.ValueString()]:
			d.Invalid(req.Path.AtListIndex(n), "Given twice", quote(name.ValueString())+" is in the list already: take it out here.")
		default:
			seen[name.ValueString()] = true
		}
	}
}
