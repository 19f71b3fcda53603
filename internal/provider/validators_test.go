// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// says is what a validator says of a string, summary and detail; "" when it
// has nothing against it.
func says(v validator.String, s types.String) string {
	resp := &validator.StringResponse{}
	v.ValidateString(context.Background(), validator.StringRequest{Path: path.Root("stage").AtListIndex(1).AtName("x"), ConfigValue: s}, resp)
	var all []string
	for _, d := range resp.Diagnostics {
		all = append(all, d.Summary()+" | "+d.Detail())
	}
	return strings.Join(all, "\n")
}

func TestValidators(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0a", 32)
	bounded := duration{least: time.Second, most: time.Hour}
	for name, c := range map[string]struct {
		validator validator.String
		good      []string
		bad       map[string]string // with something that must be said
	}{
		"name": {name{"a deployment"}, []string{"a", "api", "api-2", strings.Repeat("a", 31)}, map[string]string{
			"": "a deployment", "-api": "dash", "API": `"API" cannot be the name`, strings.Repeat("a", 32): "31", "a_b": "dashes"}},
		"pipeline name": {pipelineName{"a pipeline"}, []string{"shop", "shop-2"}, map[string]string{"shop_2": "dashes", "Shop": "lower-case", "": "pipeline"}},
		"duration": {bounded, []string{"1s", "1h", "90s", "1m30s"}, map[string]string{
			"": "30s", "10": "10m", "500ms": "at least 1s", "61m": "at most 1h0m0s", "-5s": "at least 1s", "soon": `"soon"`}},
		"duration without bounds": {duration{}, []string{"0s", "10000h"}, map[string]string{"-1s": "duration"}},
		"server": {serverName{}, []string{"git.acme.io", "localhost:5000", "10.0.0.1", "[2001:db8::1]:22", "2001:db8::1"}, map[string]string{
			"": "server's name", "https://git.acme.io": "without a scheme", "git.acme.io/x": "a path", "app:0": "app:0",
			"app:65536": "app:65536", "-oProxyCommand=x": "not possible", "app one": "app one", "app:22:22": "app:22"}},
		"version": {version{}, []string{"1.5.0", "1.5.0-rc.1", "1.5.0+linux"}, map[string]string{"v1.5.0": `write "1.5.0"`, "1.5": "MAJOR.MINOR.PATCH", "": "1.5.0"}},
		"checksum": {checksum{}, []string{"sha256:" + digest}, map[string]string{
			digest: `write "sha256:` + digest, "SHA256:" + strings.ToUpper(digest): "lower-case", "md5:1": "sha256sum", "": "sha256sum"}},
		"deployer": {deployerName{}, []string{"edge"}, map[string]string{"ssh": "comes with the provider", "Edge": "lower-case"}},
		"JSON":     {jsonObject{}, []string{"{}", `{"a": 1}`}, map[string]string{"": "jsonencode", "[]": "jsonencode", "null": "jsonencode", "{} {}": "jsonencode"}},
		"store":    {storeLocation{}, []string{"./store", ".delivery/store", "/srv/store", "registry.acme.io/shop", "localhost:5000"}, map[string]string{"": "empty", "shop": "shop"}},
		"git URL": {gitURL{}, []string{"https://git.acme.io/shop.git", "git@git.acme.io:shop.git", "ssh://git@git.acme.io/shop", "../shop"}, map[string]string{
			"https://me:pass@git.acme.io/shop.git": "git block", "https://token@git.acme.io/shop.git": "git block", "ext::sh -c id": "remote helper", "--upload-pack=x": "begins with"}},
		"pipeline": {pipelineJSON{}, []string{`{"name":"shop","source":{"directory":{"path":"."}}}`}, map[string]string{"{}": "Not a valid pipeline", "shop": ".json"}},
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
				if !strings.Contains(got, want) {
					t.Errorf("%q: got %q, want %q in it", bad, got, want)
				}
				if name != "pipeline" && !strings.HasPrefix(got, "stage[1].x: ") {
					t.Errorf("%q: the message does not begin with the attribute: %s", bad, got)
				}
			}
		})
	}
}
