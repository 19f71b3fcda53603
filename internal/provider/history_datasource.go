// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"golang.org/x/sync/errgroup"

	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
)

var _ datasource.DataSourceWithConfigure = (*historyDataSource)(nil)

// How many entries the data source lists, and how many it fetches at once.
const (
	defaultHistory = 50
	mostHistory    = 1000
	historyAtOnce  = 8
)

// NewHistoryDataSource makes the data source delivery_history, which tells what
// was deployed where, from the evidence in the store.
func NewHistoryDataSource() datasource.DataSource { return &historyDataSource{} }

type historyDataSource struct{ data *Data }

func (*historyDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_history"
}

func (*historyDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "What was deployed where, when, by whom and how it ended, from the evidence that deployments leave in the store: " +
			"one listing, and the details of the entries in the window. The ledger on the target is the truth and the store has a copy, so " +
			"an operation whose evidence is `off`, or could not be sent yet, is not listed.",
		Attributes: map[string]schema.Attribute{
			"pipeline": schema.StringAttribute{
				MarkdownDescription: "The name of the pipeline whose releases were deployed.",
				Required:            true,
				Validators:          []validator.String{pipelineName{"a pipeline"}},
			},
			"environment": schema.StringAttribute{
				MarkdownDescription: "Only operations in this environment.",
				Optional:            true,
				Validators:          []validator.String{name{"an environment"}},
			},
			"deployment": schema.StringAttribute{
				MarkdownDescription: "Only operations of the deployment with this name.",
				Optional:            true,
				Validators:          []validator.String{name{"a deployment"}},
			},
			"since": schema.StringAttribute{
				MarkdownDescription: "Only operations that ended since then: a time in RFC 3339, or how long ago, such as `720h`.",
				Optional:            true,
				Validators:          []validator.String{since{}},
			},
			"limit": schema.Int64Attribute{
				MarkdownDescription: fmt.Sprintf("How many operations at most, the newest ones. Defaults to %d; at most %d.", defaultHistory, mostHistory),
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, mostHistory)},
			},
			"entries": schema.ListNestedAttribute{
				MarkdownDescription: "The operations, the newest first.",
				Computed:            true,
				NestedObject:        schema.NestedAttributeObject{Attributes: historyEntrySchema()},
			},
		},
	}
}

func historyEntrySchema() map[string]schema.Attribute {
	text := func(about string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: about}
	}
	return map[string]schema.Attribute{
		"operation":   text("The operation's id."),
		"kind":        text("`create`, `update`, `repair`, `adopt` or `remove`."),
		"environment": text("The environment."),
		"deployment":  text("The deployment's name."),
		"actor":       text("Who did it: user and host, with the CI job or run when there is one."),
		"started":     text("When it began, in RFC 3339."),
		"ended":       text("When it ended, in RFC 3339."),
		"outcome":     text("`succeeded`, `reverted`, `revert_failed`, `failed` (and was not reverted), `cancelled`, or `interrupted`: its end was never recorded."),
		"reason":      text("Why it did not succeed; null when it did."),
		"strategy":    text("The strategy, such as `rolling`; null when none is recorded."),
		"release_id":  text("The release that was deployed; null for a removal."),
		"revision":    text("The revision that was deployed: the release with its configuration; null for a removal."),
		"commit":      text("The release's commit; null when it is not recorded."),
		"from_releases": schema.ListAttribute{
			MarkdownDescription: "The releases that instances ran before, sorted, each once.",
			ElementType:         types.StringType,
			Computed:            true,
		},
		"instances": schema.MapNestedAttribute{
			MarkdownDescription: "What each instance ran before, and at the end. Null is nothing, or not known.",
			Computed:            true,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"from_release":  text("The release before."),
				"from_revision": text("The revision before."),
				"release":       text("The release at the end."),
				"revision":      text("The revision at the end."),
			}},
		},
		"steps": schema.ListNestedAttribute{
			MarkdownDescription: "What was done, in the order in which it began.",
			Computed:            true,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"name":      text("The step, such as `prepare` or `switch`."),
				"instances": schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "The instances; empty when it concerns the whole target."},
				"started":   text("When it began, in RFC 3339 with milliseconds."),
				"ended":     text("When it ended; null when that is not recorded."),
				"error":     text("Why it failed; null when it did not."),
			}},
		},
	}
}

func (s *historyDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	s.data = dataFrom(req.ProviderData, Diagnostics{Diagnostics: &resp.Diagnostics})
}

func (s *historyDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m historyModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := Diagnostics{Diagnostics: &resp.Diagnostics, Redactor: s.data.Redactor}
	if !s.data.storeKnown(d, "no history can be read") {
		return
	}
	found, err := readHistory(ctx, s.data, m.Pipeline.ValueString(), m.filter(time.Now()))
	if err != nil {
		d.Error(path.Root("pipeline"), "The history cannot be read from the store", err)
		return
	}
	m.Entries = []historyEntry{}
	for _, one := range found {
		if one.err != nil {
			d.Warning(path.Root("entries"), "The details of the operation "+one.ref.Operation+" cannot be read", one.err)
		}
		m.Entries = append(m.Entries, one.entry(s.data.Redactor))
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// recorded is one event of the history, with why its details cannot be read.
type recorded struct {
	ref   store.EventRef
	event store.Event
	err   error
}

// readHistory lists events, newest first, and reads their details. What is
// damaged, or of a newer provider, hides nothing else.
func readHistory(ctx context.Context, data *Data, pipeline string, filter store.EventFilter) ([]recorded, error) {
	opened, err := data.Store(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := opened.Events(ctx, pipeline, filter)
	if err != nil {
		return nil, err
	}
	all := make([]recorded, len(refs))
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(historyAtOnce)
	for n, ref := range refs {
		group.Go(func() error {
			event, err := opened.Event(together, pipeline, ref)
			var access *store.AccessError
			if errors.As(err, &access) || together.Err() != nil {
				return errors.Join(err, together.Err())
			}
			all[n] = recorded{ref: ref, event: event, err: err}
			return nil
		})
	}
	return all, group.Wait()
}

// since is a time, or how long ago it was.
type since struct{}

func (since) Description(context.Context) string {
	return `a time such as "2026-01-31T12:00:00Z", or how long ago, such as "720h"`
}
func (v since) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }
func (v since) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	check(req, resp, "Not a valid time", func(s string) string {
		if _, ok := parseSince(s, time.Now()); ok {
			return ""
		}
		return fmt.Sprintf("%s is not possible here: write %s.", quote(s), v.Description(ctx))
	})
}

func parseSince(s string, now time.Time) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, true
	}
	ago, err := time.ParseDuration(s)
	return now.Add(-ago), err == nil && ago > 0
}
