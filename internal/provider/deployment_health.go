// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// probes are the blocks of health_check, of which at most one is there.
var probes = []string{"command", "grpc", "http", "tcp"}

// mostProbes bounds the thresholds.
const mostProbes = 1000

func healthCheckBlock() schema.Block {
	port := schema.Int64Attribute{
		Optional:            true,
		MarkdownDescription: "Port. Required.",
		Validators:          []validator.Int64{int64validator.Between(1, 65535)},
	}
	host := schema.StringAttribute{Optional: true, MarkdownDescription: "Address as the instance itself sees it. Default `127.0.0.1`."}
	threshold := func(description string) schema.Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.Between(1, mostProbes)}}
	}
	return schema.SingleNestedBlock{
		MarkdownDescription: "When an instance counts as healthy: at most one of `http`, `tcp`, `grpc` and `command`. Without any, its process must stay up for `min_healthy_time`. Changing it touches no instance.",
		Attributes: map[string]schema.Attribute{
			"interval": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Time between two probes. Default `1s`; at first it probes faster, so that a fast application is not waited for.",
				Validators:          []validator.String{duration{minInterval, maxWait}},
			},
			"timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long one probe may take. Default `5s`.",
				Validators:          []validator.String{duration{minInterval, maxWait}},
			},
			"healthy_deadline": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long an instance may take to become healthy. Default `2m`.",
				Validators:          []validator.String{duration{minInterval, maxWait}},
			},
			"healthy_threshold":   threshold("How many probes in a row must pass. Default `1`."),
			"unhealthy_threshold": threshold("How many bad answers in a row fail an instance before `healthy_deadline`. By default only the deadline does, and a process that died."),
			"start_period":        waitAttribute("How long after its start bad answers of an instance do not count for `unhealthy_threshold`. Default `0s`."),
		},
		Blocks: map[string]schema.Block{
			"http": schema.SingleNestedBlock{
				MarkdownDescription: "An HTTP request, made where the instance is. Redirects are not followed.",
				Attributes: map[string]schema.Attribute{
					"scheme": schema.StringAttribute{Optional: true, MarkdownDescription: "`http` or `https`. Default `http`.", Validators: []validator.String{stringvalidator.OneOf("http", "https")}},
					"host":   host,
					"port":   port,
					"path":   schema.StringAttribute{Optional: true, MarkdownDescription: "Path, with a query if there is one. Default `/`."},
					"method": schema.StringAttribute{Optional: true, MarkdownDescription: "Method: `GET`, `HEAD`, `OPTIONS`, `POST` or `PUT`. Default `GET`.", Validators: []validator.String{stringvalidator.OneOf("GET", "HEAD", "OPTIONS", "POST", "PUT")}},
					"headers": schema.MapAttribute{
						Optional: true, Sensitive: true, ElementType: types.StringType,
						MarkdownDescription: "Request headers. `Host` is honoured. They are kept in the state, so put no secrets here.",
						Validators:          headerValidators(),
					},
					"statuses": schema.ListAttribute{
						Optional: true, ElementType: types.StringType,
						MarkdownDescription: "Statuses that pass, each a status, such as `\"301\"`, or a range, such as `\"200-299\"`. Default `[\"200-399\"]`.",
						Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(statusRange{})},
					},
					"body_matches": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Regular expression (RE2) that must be found in the first 64 KiB of the body.",
						Validators:          []validator.String{regularExpression{}},
					},
				},
				Blocks: map[string]schema.Block{"tls": probeTLSBlock("`scheme = \"https\"`")},
			},
			"tcp": schema.SingleNestedBlock{
				MarkdownDescription: "A TCP connection, made where the instance is.",
				Attributes:          map[string]schema.Attribute{"host": host, "port": port},
			},
			"grpc": schema.SingleNestedBlock{
				MarkdownDescription: "A call of the standard gRPC health service (`grpc.health.v1.Health`), made where the instance is. The answer `SERVING` passes.",
				Attributes: map[string]schema.Attribute{
					"host":    host,
					"port":    port,
					"service": schema.StringAttribute{Optional: true, MarkdownDescription: "Service to ask about. Default: the server as a whole."},
					"secure":  schema.BoolAttribute{Optional: true, MarkdownDescription: "Call over TLS. Default `false`."},
				},
				Blocks: map[string]schema.Block{"tls": probeTLSBlock("`secure = true`")},
			},
			"command": schema.SingleNestedBlock{
				MarkdownDescription: "A shell command, run in the release's directory with its environment; status 0 passes.",
				Attributes:          map[string]schema.Attribute{"command": schema.StringAttribute{Optional: true, MarkdownDescription: "The command. Required."}},
			},
		},
	}
}

func probeTLSBlock(with string) schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Verify the server's certificate; without this block it is not verified. Needs " + with + ".",
		Attributes: map[string]schema.Attribute{
			"server_name": schema.StringAttribute{Optional: true, MarkdownDescription: "Name that the certificate must be for. Required.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
			"ca":          schema.StringAttribute{Optional: true, MarkdownDescription: "Certificates to trust, as PEM. Default: those that the machine that probes trusts.", Validators: []validator.String{certificates{}}},
		},
	}
}

func headerValidators() []validator.Map {
	return []validator.Map{mapvalidator.KeysAre(headerName{}), mapvalidator.ValueStringsAre(headerValue{})}
}

type healthCheckModel struct {
	Interval           types.String       `tfsdk:"interval"`
	Timeout            types.String       `tfsdk:"timeout"`
	HealthyDeadline    types.String       `tfsdk:"healthy_deadline"`
	HealthyThreshold   types.Int64        `tfsdk:"healthy_threshold"`
	UnhealthyThreshold types.Int64        `tfsdk:"unhealthy_threshold"`
	StartPeriod        types.String       `tfsdk:"start_period"`
	HTTP               *httpProbeModel    `tfsdk:"http"`
	TCP                *tcpProbeModel     `tfsdk:"tcp"`
	GRPC               *grpcProbeModel    `tfsdk:"grpc"`
	Command            *commandProbeModel `tfsdk:"command"`
}

type httpProbeModel struct {
	Scheme      types.String   `tfsdk:"scheme"`
	Host        types.String   `tfsdk:"host"`
	Port        types.Int64    `tfsdk:"port"`
	Path        types.String   `tfsdk:"path"`
	Method      types.String   `tfsdk:"method"`
	Headers     types.Map      `tfsdk:"headers"`
	Statuses    types.List     `tfsdk:"statuses"`
	BodyMatches types.String   `tfsdk:"body_matches"`
	TLS         *probeTLSModel `tfsdk:"tls"`
}

type tcpProbeModel struct {
	Host types.String `tfsdk:"host"`
	Port types.Int64  `tfsdk:"port"`
}

type grpcProbeModel struct {
	Host    types.String   `tfsdk:"host"`
	Port    types.Int64    `tfsdk:"port"`
	Service types.String   `tfsdk:"service"`
	Secure  types.Bool     `tfsdk:"secure"`
	TLS     *probeTLSModel `tfsdk:"tls"`
}

type probeTLSModel struct {
	ServerName types.String `tfsdk:"server_name"`
	CA         types.String `tfsdk:"ca"`
}

type commandProbeModel struct {
	Command types.String `tfsdk:"command"`
}

// healthCheck reads the block; none is all null.
func (m deploymentModel) healthCheck(ctx context.Context, d Diagnostics) healthCheckModel {
	return readBlock[healthCheckModel](ctx, m.HealthCheck, d)
}

func (c healthCheckModel) translate() rollout.HealthCheck {
	return rollout.HealthCheck{
		Probe:              c.probe(),
		Interval:           durationOr(c.Interval, 0),
		Timeout:            durationOr(c.Timeout, 0),
		HealthyThreshold:   int(c.HealthyThreshold.ValueInt64()),
		UnhealthyThreshold: int(c.UnhealthyThreshold.ValueInt64()),
		StartPeriod:        durationOr(c.StartPeriod, 0),
		HealthyDeadline:    durationOr(c.HealthyDeadline, 0),
	}
}

func (c healthCheckModel) probe() deployer.Probe {
	switch {
	case c.HTTP != nil:
		p := &deployer.HTTPProbe{
			Scheme: c.HTTP.Scheme.ValueString(), Host: c.HTTP.Host.ValueString(), Port: int(c.HTTP.Port.ValueInt64()),
			Method: c.HTTP.Method.ValueString(), Path: c.HTTP.Path.ValueString(), Headers: stringMap(c.HTTP.Headers),
			BodyMatches: c.HTTP.BodyMatches.ValueString(), TLS: c.HTTP.TLS.translate(),
		}
		for _, text := range stringList(c.HTTP.Statuses) {
			if r, ok := parseStatuses(text); ok {
				p.Statuses = append(p.Statuses, r)
			}
		}
		return deployer.Probe{HTTP: p}
	case c.TCP != nil:
		return deployer.Probe{TCP: &deployer.TCPProbe{Host: c.TCP.Host.ValueString(), Port: int(c.TCP.Port.ValueInt64())}}
	case c.GRPC != nil:
		return deployer.Probe{GRPC: &deployer.GRPCProbe{
			Host: c.GRPC.Host.ValueString(), Port: int(c.GRPC.Port.ValueInt64()),
			Service: c.GRPC.Service.ValueString(), Secure: c.GRPC.Secure.ValueBool(), TLS: c.GRPC.TLS.translate(),
		}}
	case c.Command != nil:
		return deployer.Probe{Command: &deployer.CommandProbe{Command: c.Command.Command.ValueString()}}
	}
	return deployer.Probe{}
}

func (t *probeTLSModel) translate() *deployer.ProbeTLS {
	if t == nil {
		return nil
	}
	return &deployer.ProbeTLS{ServerName: t.ServerName.ValueString(), CA: t.CA.ValueString()}
}

// checkHealth finds what no single attribute of the health check can tell.
func (m deploymentModel) checkHealth(ctx context.Context, d Diagnostics) {
	if m.HealthCheck.IsNull() || m.HealthCheck.IsUnknown() {
		return
	}
	at := path.Root("health_check")
	if given, _ := count(pick(m.HealthCheck, probes...)); len(given) > 1 {
		d.Invalid(at.AtName(given[1]), "More than one probe", "Keep one of the blocks "+enumerate(given)+".")
	}
	for _, name := range []string{"http", "tcp", "grpc"} {
		require(nested(m.HealthCheck, name), "port", at.AtName(name), d)
	}
	require(nested(m.HealthCheck, "command"), "command", at.AtName("command"), d)
	for _, name := range []string{"http", "grpc"} {
		require(nested(nested(m.HealthCheck, name), "tls"), "server_name", at.AtName(name).AtName("tls"), d)
	}
	c := m.healthCheck(ctx, d)
	if p := c.HTTP; p != nil {
		at := at.AtName("http")
		if p.TLS != nil && !p.Scheme.IsUnknown() && p.Scheme.ValueString() != "https" {
			d.Invalid(at.AtName("tls"), "Certificates without TLS", `The probe does not use TLS: set scheme = "https", or leave the block tls out.`)
		}
		if !p.BodyMatches.IsNull() && p.Method.ValueString() == "HEAD" {
			d.Invalid(at.AtName("body_matches"), "A body that never comes", `The answer to a HEAD request has no body: use method = "GET", or leave body_matches out.`)
		}
	}
	if p := c.GRPC; p != nil && p.TLS != nil && !p.Secure.IsUnknown() && !p.Secure.ValueBool() {
		d.Invalid(at.AtName("grpc").AtName("tls"), "Certificates without TLS", "The probe does not use TLS: set secure = true, or leave the block tls out.")
	}
}
