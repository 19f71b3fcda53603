// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
)

// queries are the blocks of analysis, of which exactly one is there.
var queries = []string{"command", "http", "prometheus"}

// What an analysis does when it does not say.
const (
	defaultAnalysisCount    = 1
	defaultAnalysisInterval = 10 * time.Second
	mostMeasurements        = 10_000
)

func analysisBlock() schema.Block {
	timeout := schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: "How long one measurement may take. Default `10s`.",
		Validators:          []validator.String{duration{minInterval, maxWait}},
	}
	headers := schema.MapAttribute{
		Optional: true, Sensitive: true, ElementType: types.StringType,
		MarkdownDescription: "Request headers. They are kept in the state; secrets belong in `headers_wo`.",
		Validators:          headerValidators(),
	}
	secretHeaders := schema.MapAttribute{
		Optional: true, Sensitive: true, WriteOnly: true, ElementType: types.StringType,
		MarkdownDescription: "Request headers that are secret, such as `Authorization`. Write-only: they are never in state or plan. They win over `headers`.",
		Validators:          headerValidators(),
	}
	condition := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{condition{}}}
	}
	success := condition("Condition that each measurement must fulfil, such as `\">= 0.99\"`: one of `>=`, `<=`, `==`, `!=`, `>` and `<`, and a number. Two with a comma between them make a range.")
	success.Required, success.Optional = true, false
	return schema.ListNestedBlock{
		MarkdownDescription: "A number that must be good for a time, repeatable: exactly one of `prometheus`, `http` and `command` says where it comes from. It is measured from where Terraform runs, after the steps of a `canary` that name it, and at last before a rollout counts as successful. Changing it touches no instance.",
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name":          schema.StringAttribute{Required: true, MarkdownDescription: "Name, by which steps of a `canary` and messages name it: formed like `name` of the deployment.", Validators: []validator.String{name{"an analysis"}}},
				"initial_delay": schema.StringAttribute{Optional: true, MarkdownDescription: "Time before the first measurement, for numbers that a new instance does not have at once, such as a rate. Default `0s`.", Validators: []validator.String{duration{0, maxWait}}},
				"interval":      schema.StringAttribute{Optional: true, MarkdownDescription: "Time between two measurements. Default `10s`.", Validators: []validator.String{duration{minInterval, maxWait}}},
				"count":         schema.Int64Attribute{Optional: true, MarkdownDescription: "How many measurements are made. Default `1`.", Validators: []validator.Int64{int64validator.Between(1, mostMeasurements)}},
				"failure_limit": schema.Int64Attribute{Optional: true, MarkdownDescription: "How many measurements may fail: less than `count`. One that could not be made has failed. Default `0`.", Validators: []validator.Int64{int64validator.AtLeast(0)}},
				"success":       success,
				"failure":       condition("Condition that ends the analysis at once when a measurement fulfils it, whatever `failure_limit` says."),
				"no_data":       schema.StringAttribute{Required: true, MarkdownDescription: "What an answer without a number means: `fail` or `pass`. There is no default: only you know whether silence is good.", Validators: []validator.String{stringvalidator.OneOf(string(analysis.NoDataFails), string(analysis.NoDataPasses))}},
			},
			Blocks: map[string]schema.Block{
				"prometheus": schema.SingleNestedBlock{
					MarkdownDescription: "Ask a Prometheus server, or what speaks like one.",
					Attributes: map[string]schema.Attribute{
						"address":    schema.StringAttribute{Optional: true, MarkdownDescription: "URL of the server, such as `http://prometheus:9090`. Required.", Validators: []validator.String{webAddress{}}},
						"query":      schema.StringAttribute{Optional: true, MarkdownDescription: "PromQL expression that gives one number. `{{revision}}`, `{{release}}`, `{{version}}`, `{{commit}}` and `{{instances}}` (for `=~`) stand for what is rolled out. No series and NaN are no data; more than one series is an error. Required.", Validators: []validator.String{notEmpty{"a PromQL expression"}, promQL{}}},
						"headers":    headers,
						"headers_wo": secretHeaders,
						"timeout":    timeout,
					},
				},
				"http": schema.SingleNestedBlock{
					MarkdownDescription: "Get a JSON document by HTTP and take a number from it. Any status but 200 is a failed measurement.",
					Attributes: map[string]schema.Attribute{
						"url":        schema.StringAttribute{Optional: true, MarkdownDescription: "URL of the document; `{{release}}` and so on stand for what is rolled out, as in `prometheus.query`. Required.", Validators: []validator.String{webAddress{}}},
						"pointer":    schema.StringAttribute{Optional: true, MarkdownDescription: "JSON pointer (RFC 6901) to the number, such as `/data/error_rate`. `true` is 1 and `false` is 0; nothing there is no data. Default: the whole document.", Validators: []validator.String{jsonPointer{}}},
						"headers":    headers,
						"headers_wo": secretHeaders,
						"timeout":    timeout,
					},
				},
				"command": schema.SingleNestedBlock{
					MarkdownDescription: "Run a shell command where Terraform runs. The last line of its output is the number; no output is no data; another status than 0 is a failed measurement.",
					Attributes: map[string]schema.Attribute{
						"command": schema.StringAttribute{Optional: true, MarkdownDescription: "The command, run by `sh`, with `DELIVERY_RELEASE`, `DELIVERY_REVISION`, `DELIVERY_VERSION`, `DELIVERY_COMMIT` and `DELIVERY_INSTANCES` in its environment. Required.", Validators: []validator.String{notEmpty{"a command"}}},
						"timeout": timeout,
					},
				},
			},
		},
	}
}

type analysisModel struct {
	Name         types.String `tfsdk:"name"`
	InitialDelay types.String `tfsdk:"initial_delay"`
	Interval     types.String `tfsdk:"interval"`
	Count        types.Int64  `tfsdk:"count"`
	FailureLimit types.Int64  `tfsdk:"failure_limit"`
	Success      types.String `tfsdk:"success"`
	Failure      types.String `tfsdk:"failure"`
	NoData       types.String `tfsdk:"no_data"`
	Prometheus   types.Object `tfsdk:"prometheus"`
	HTTP         types.Object `tfsdk:"http"`
	Command      types.Object `tfsdk:"command"`
}

type prometheusModel struct {
	Address   types.String `tfsdk:"address"`
	Query     types.String `tfsdk:"query"`
	Headers   types.Map    `tfsdk:"headers"`
	HeadersWO types.Map    `tfsdk:"headers_wo"`
	Timeout   types.String `tfsdk:"timeout"`
}

type jsonQueryModel struct {
	URL       types.String `tfsdk:"url"`
	Pointer   types.String `tfsdk:"pointer"`
	Headers   types.Map    `tfsdk:"headers"`
	HeadersWO types.Map    `tfsdk:"headers_wo"`
	Timeout   types.String `tfsdk:"timeout"`
}

// analysisModels reads the blocks. Secret headers are in the configuration's
// model only.
func (m deploymentModel) analysisModels(ctx context.Context, d Diagnostics) []analysisModel {
	var all []analysisModel
	if !m.Analysis.IsNull() && !m.Analysis.IsUnknown() {
		d.Append(m.Analysis.ElementsAs(ctx, &all, true)...)
	}
	return all
}

// analysisNames are the names of the blocks.
func (m deploymentModel) analysisNames(ctx context.Context, d Diagnostics) nameSet {
	s := nameSet{what: "an analysis", unknown: m.Analysis.IsUnknown()}
	for _, a := range m.analysisModels(ctx, d) {
		s.unknown = s.unknown || a.Name.IsUnknown()
		s.names = append(s.names, a.Name.ValueString())
	}
	return s
}

// analyses gives the criteria.
func (m deploymentModel) analyses(ctx context.Context, d Diagnostics) []analysis.Criterion {
	var all []analysis.Criterion
	for _, a := range m.analysisModels(ctx, d) {
		all = append(all, analysis.Criterion{
			Name:         a.Name.ValueString(),
			Query:        a.query(ctx, d),
			Success:      conditionOf(a.Success),
			Failure:      conditionOf(a.Failure),
			NoData:       analysis.NoData(a.NoData.ValueString()),
			Count:        a.count(),
			InitialDelay: durationOr(a.InitialDelay, 0),
			Interval:     durationOr(a.Interval, defaultAnalysisInterval),
			FailureLimit: int(a.FailureLimit.ValueInt64()),
		})
	}
	return all
}

func (a analysisModel) count() int {
	return max(int(a.Count.ValueInt64()), defaultAnalysisCount)
}

func (a analysisModel) query(ctx context.Context, d Diagnostics) analysis.Query {
	switch {
	case !a.Prometheus.IsNull():
		var q prometheusModel
		d.Append(a.Prometheus.As(ctx, &q, asKnown)...)
		return analysis.Prometheus{
			Address: q.Address.ValueString(), Expr: q.Query.ValueString(),
			Headers: stringMaps(q.Headers, q.HeadersWO), Timeout: durationOr(q.Timeout, 0),
		}
	case !a.HTTP.IsNull():
		var q jsonQueryModel
		d.Append(a.HTTP.As(ctx, &q, asKnown)...)
		return analysis.HTTP{
			URL: q.URL.ValueString(), Pointer: q.Pointer.ValueString(),
			Headers: stringMaps(q.Headers, q.HeadersWO), Timeout: durationOr(q.Timeout, 0),
		}
	case !a.Command.IsNull():
		var q commandModel
		d.Append(a.Command.As(ctx, &q, asKnown)...)
		return analysis.Command{Argv: []string{"sh", "-c", q.Command.ValueString()}, Timeout: durationOr(q.Timeout, 0)}
	}
	return nil
}

// secretHeaders are the values that no message may show.
func (m deploymentModel) secretHeaders(ctx context.Context, d Diagnostics) map[string]string {
	secrets := map[string]string{}
	for n, a := range m.analysisModels(ctx, d) {
		for _, query := range []types.Object{a.Prometheus, a.HTTP} {
			for _, name := range []string{"headers", "headers_wo"} {
				if headers, ok := query.Attributes()[name].(types.Map); ok {
					for key, value := range stringMap(headers) {
						secrets[fmt.Sprintf("%d %s %s", n, name, key)] = value
					}
				}
			}
		}
	}
	return secrets
}

// checkAnalyses finds what no single attribute of an analysis can tell.
func (m deploymentModel) checkAnalyses(ctx context.Context, d Diagnostics) {
	var names []string
	for n, a := range m.analysisModels(ctx, d) {
		at := path.Root("analysis").AtListIndex(n)
		if name := a.Name.ValueString(); name != "" && slices.Contains(names, name) {
			d.Invalid(at.AtName("name"), "Given twice", fmt.Sprintf("There is another analysis of the name %s: give each its own.", quote(name)))
		}
		names = append(names, a.Name.ValueString())
		a.check(at, d)
	}
}

func (a analysisModel) check(at path.Path, d Diagnostics) {
	given, unknown := count(map[string]attr.Value{"prometheus": a.Prometheus, "http": a.HTTP, "command": a.Command})
	switch {
	case len(given) == 0 && !unknown:
		d.Invalid(at, "Nothing to measure", "Add one of the blocks "+enumerate(queries)+".")
	case len(given) > 1:
		d.Invalid(at.AtName(given[1]), "More than one query", "An analysis measures one number: keep one of the blocks "+enumerate(given)+", and make a second analysis for the other.")
	}
	require(a.Prometheus, "address", at.AtName("prometheus"), d)
	require(a.Prometheus, "query", at.AtName("prometheus"), d)
	require(a.HTTP, "url", at.AtName("http"), d)
	require(a.Command, "command", at.AtName("command"), d)
	if !a.Count.IsUnknown() && a.FailureLimit.ValueInt64() >= int64(a.count()) {
		d.Invalid(at.AtName("failure_limit"), "A limit that is never reached", fmt.Sprintf("%d of %d measurements may fail, so the analysis always holds: set less than count.", a.FailureLimit.ValueInt64(), a.count()))
	}
}

// conditionOf reads a condition that a validator has passed.
func conditionOf(s types.String) analysis.Condition {
	c, err := analysis.ParseCondition(s.ValueString())
	if err != nil {
		return analysis.Condition{}
	}
	return c
}
