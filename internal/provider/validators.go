// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

// check adapts a function that says what is wrong with a string, "" being
// nothing, to a validator whose message begins with the attribute's path.
func check(req validator.StringRequest, resp *validator.StringResponse, what string, wrong func(string) string) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if message := wrong(req.ConfigValue.ValueString()); message != "" {
		Diagnostics{Diagnostics: &resp.Diagnostics}.Invalid(req.Path, what, message)
	}
}

func quote(s string) string { return strconv.Quote(s) }

// name is the name of a deployment, an environment or a pipeline.
type name struct{ what string }

var namePattern = lazyregexp.New(`^[a-z0-9][a-z0-9-]{0,30}$`)

func (v name) Description(context.Context) string {
	return "at most 31 lower-case letters, digits and dashes, not beginning with a dash"
}
func (v name) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v name) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid name", func(s string) string {
		if namePattern.MatchString(s) {
			return ""
		}
		return fmt.Sprintf("%s cannot be the name of %s: use %s.", quote(s), v.what, v.Description(ctx))
	})
}

// duration is a Go duration within bounds; a zero maximum is none.
type duration struct{ least, most time.Duration }

func (v duration) Description(context.Context) string {
	text := `a duration such as "30s" or "10m"`
	if v.least > 0 {
		text += ", at least " + v.least.String()
	}
	if v.most > 0 {
		text += ", at most " + v.most.String()
	}
	return text
}
func (v duration) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v duration) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid duration", func(s string) string {
		d, err := time.ParseDuration(s)
		if err != nil || d < v.least || v.most > 0 && d > v.most {
			return fmt.Sprintf("%s is not possible here: write %s.", quote(s), v.Description(ctx))
		}
		return ""
	})
}

var hostPattern = lazyregexp.New(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$`)

func validHostPort(s string) bool {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
		host = h
	}
	address, _, _ := strings.Cut(host, "%")
	return net.ParseIP(address) != nil || hostPattern.MatchString(host)
}

// serverName is a host as it stands in a URL, with an optional port.
type serverName struct{}

func (serverName) Description(context.Context) string {
	return `a server's name as it stands in a URL, without a scheme or a path, such as "git.acme.io" or "localhost:5000"`
}
func (v serverName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v serverName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a server's name", func(s string) string {
		if validHostPort(s) {
			return ""
		}
		return fmt.Sprintf("%s is not possible here: write %s.", quote(s), v.Description(ctx))
	})
}

// version is the version of a release.
type version struct{}

func (version) Description(context.Context) string {
	return `a semantic version without a leading v, such as "1.5.0"`
}
func (v version) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v version) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid version", func(s string) string {
		if err := store.CheckVersion(s); err != nil {
			return sentence(err.Error())
		}
		return ""
	})
}

// checksum is a SHA-256.
type checksum struct{}

var checksumPattern = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)

func (checksum) Description(context.Context) string { return `"sha256:" and 64 hexadecimal digits` }
func (v checksum) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}
func (v checksum) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a checksum", func(s string) string {
		switch {
		case checksumPattern.MatchString(s):
			return ""
		case checksumPattern.MatchString("sha256:" + s):
			return `The kind of checksum is missing: write "sha256:` + s + `".`
		case checksumPattern.MatchString(strings.ToLower(s)):
			return `Checksums have lower-case digits: write "` + strings.ToLower(s) + `".`
		}
		return quote(s) + ` is not a checksum: write "sha256:" and the 64 hexadecimal digits that sha256sum prints for the program.`
	})
}

// deployerName is the name of a custom deployer.
type deployerName struct{}

func (deployerName) Description(ctx context.Context) string {
	return name{}.Description(ctx) + ", and not that of a deployer that comes with the provider"
}
func (v deployerName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v deployerName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid name", func(s string) string {
		switch s {
		case "ssh", "local", "docker", "kubernetes", "plugin":
			return quote(s) + " is the name of a deployer that comes with the provider: choose another."
		}
		if namePattern.MatchString(s) {
			return ""
		}
		return fmt.Sprintf("%s cannot be the name of a deployer: use %s.", quote(s), name{}.Description(ctx))
	})
}

// jsonObject is the text of a JSON object.
type jsonObject struct{}

func (jsonObject) Description(context.Context) string {
	return "a JSON object, as jsonencode({ … }) makes it"
}
func (v jsonObject) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v jsonObject) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a JSON object", func(s string) string {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(s), &object); err != nil || object == nil {
			// The text itself may hold secrets.
			return "Write " + v.Description(ctx) + "."
		}
		return ""
	})
}

// storeLocation is a registry's repository or a directory.
type storeLocation struct{}

func (storeLocation) Description(context.Context) string {
	return `a registry with a path, such as "registry.acme.io/shop", or a directory, such as "./store"`
}
func (v storeLocation) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v storeLocation) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a store", func(s string) string {
		if _, err := store.ParseLocation(s); err != nil {
			return sentence(err.Error())
		}
		return ""
	})
}

// pipelineJSON is a pipeline's definition.
type pipelineJSON struct{}

func (pipelineJSON) Description(context.Context) string {
	return "the attribute json of a delivery_pipeline"
}
func (v pipelineJSON) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (pipelineJSON) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() {
		parsePipeline(req.ConfigValue.ValueString(), Diagnostics{Diagnostics: &resp.Diagnostics})
	}
}

// gitURL is a repository's URL, without credentials.
type gitURL struct{}

func (gitURL) Description(context.Context) string {
	return "a repository as git clone takes it, without credentials"
}
func (v gitURL) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (gitURL) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if err := source.CheckURL(req.ConfigValue.ValueString()); err != nil {
		Diagnostics{Diagnostics: &resp.Diagnostics}.Error(req.Path, "Not a repository", err)
	}
}

// pipelineName is the name of a pipeline or of one of its stages.
type pipelineName struct{ what string }

func (pipelineName) Description(context.Context) string {
	return "at most 63 lower-case letters and digits, with single dashes between them"
}
func (v pipelineName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v pipelineName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid name", func(s string) string {
		if pipeline.ValidName(s) && !strings.Contains(s, "_") {
			return ""
		}
		return fmt.Sprintf("%s cannot be the name of %s: use %s.", quote(s), v.what, v.Description(ctx))
	})
}
