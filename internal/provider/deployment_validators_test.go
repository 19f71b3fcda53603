// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestDeploymentValidators(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		validator validator.String
		good      []string
		bad       map[string]string // with something that must be said
	}{
		"amount":             {amount{}, []string{"1", "12", "25%", "100%"}, map[string]string{"": "number of instances", "0": `"25%"`, "-1": `"-1"`, "0%": `"0%"`, "101%": `"101%"`, "half": `"half"`, "1.5": `"1.5"`}},
		"statuses":           {statusRange{}, []string{"200", "200-299", "599"}, map[string]string{"": `"200-299"`, "20": `"20"`, "299-200": "299-200", "600": "599", "2xx": "2xx", "200 - 299": "between", "+20": "+20"}},
		"regular expression": {regularExpression{}, []string{"", "^ok$", "(?i)ready"}, map[string]string{"(": "RE2", "(?=a)": "RE2", "[": "missing"}},
		"certificates":       {certificates{}, nil, map[string]string{"": "PEM", "abc": "ca.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n": "no certificate"}},
		"header's name":      {headerName{}, []string{"Accept", "X-Scope-OrgID"}, map[string]string{"": "colon", "Accept:": "colon", "A B": `"A B"`, "A\n": "Accept"}},
		"header's value":     {headerValue{}, []string{"", "Bearer abc", "a\tb", "Grüße"}, map[string]string{"secret\n": "trimspace", "a\x00b": "control character", "\x7f": "control"}},
		"condition":          {condition{}, []string{">= 0.99", "<1", "== 0"}, map[string]string{"": ">=", "0.99": ">= 0.92", ">= many": "many", "=> 1": ">="}},
		"pointer":            {jsonPointer{}, []string{"", "/a/0", "/a~1b"}, map[string]string{"a": "JSON pointer", "/a~2": "~"}},
		"URL":                {webAddress{}, []string{"http://prometheus:9090", "https://a/b?c=d"}, map[string]string{"": "URL", "prometheus:9090": "URL", "ftp://a": "URL", "http://me:hunter2@a": "headers_wo"}},
		"text":               {notEmpty{"a command"}, []string{"true"}, map[string]string{"": "Write a command", " \n": "empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.validator.Description(context.Background()) == "" || c.validator.MarkdownDescription(context.Background()) == "" {
				t.Error("it does not describe itself")
			}
			for _, unset := range []types.String{types.StringNull(), types.StringUnknown()} {
				if got := says(c.validator, unset); got != "" {
					t.Errorf("%s: %s", unset, got)
				}
			}
			for _, good := range c.good {
				if got := says(c.validator, types.StringValue(good)); got != "" {
					t.Errorf("%q is refused: %s", good, got)
				}
			}
			for bad, want := range c.bad {
				got := says(c.validator, types.StringValue(bad))
				if !strings.Contains(got, want) || !strings.HasPrefix(got, "stage[1].x: ") {
					t.Errorf("%q: got %q, want the attribute and %q in it", bad, got, want)
				}
				if secret := strings.TrimSpace(bad); name == "header's value" && len(secret) > 3 && strings.Contains(got, secret) || strings.Contains(got, "hunter2") {
					t.Errorf("the message shows a secret: %s", got)
				}
			}
		})
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		names []attr.Value
		want  string
	}{
		"none":    {nil, ""},
		"all":     {[]attr.Value{types.StringValue("a"), types.StringUnknown(), types.StringValue("b"), types.StringUnknown()}, ""},
		"twice":   {[]attr.Value{types.StringValue("a"), types.StringValue("b"), types.StringValue("a")}, `order[2]: Given twice | "a" is in the list already`},
		"no name": {[]attr.Value{types.StringValue("a"), types.StringNull()}, "order[1]: No name | Write names"},
	} {
		resp := &validator.ListResponse{}
		distinct{"an instance"}.ValidateList(context.Background(), validator.ListRequest{
			Path: path.Root("order"), ConfigValue: types.ListValueMust(types.StringType, c.names),
		}, resp)
		if got := told(resp.Diagnostics); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
