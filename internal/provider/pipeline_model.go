// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

// pipelineModel mirrors the schema of delivery_pipeline.
type pipelineModel struct {
	ID       types.String `tfsdk:"id"`
	Name     types.String `tfsdk:"name"`
	JSON     types.String `tfsdk:"json"`
	Source   types.Object `tfsdk:"source"`
	Stage    types.List   `tfsdk:"stage"`
	Artifact types.Object `tfsdk:"artifact"`
}

type sourceModel struct {
	Git       types.Object `tfsdk:"git"`
	Directory types.Object `tfsdk:"directory"`
}

type gitSourceModel struct {
	URL        types.String `tfsdk:"url"`
	Path       types.String `tfsdk:"path"`
	Submodules types.Bool   `tfsdk:"submodules"`
}

type directorySourceModel struct {
	Path types.String `tfsdk:"path"`
}

type pipelineArtifactModel struct {
	Include types.List   `tfsdk:"include"`
	Exclude types.List   `tfsdk:"exclude"`
	URL     types.String `tfsdk:"url"`
	SHA256  types.String `tfsdk:"sha256"`
}

type stageModel struct {
	Name                 types.String `tfsdk:"name"`
	Needs                types.List   `tfsdk:"needs"`
	Commands             types.List   `tfsdk:"commands"`
	Timeout              types.String `tfsdk:"timeout"`
	Retries              types.Int64  `tfsdk:"retries"`
	AllowFailure         types.Bool   `tfsdk:"allow_failure"`
	EnvironmentVariables types.Map    `tfsdk:"environment_variables"`
	Secrets              types.List   `tfsdk:"secrets"`
	Artifacts            types.List   `tfsdk:"artifacts"`
	Reports              types.Object `tfsdk:"reports"`
}

type reportsModel struct {
	JUnit types.List `tfsdk:"junit"`
}

// definition is the pipeline that a model stands for. Unknown values are left
// out of it, and unknown tells where they were.
func (m *pipelineModel) definition(ctx context.Context, d Diagnostics) (definition pipeline.Definition, unknown path.Paths) {
	r := reader{ctx: ctx, d: d}
	definition.Name = r.text(path.Root("name"), m.Name)
	definition.Source = r.source(path.Root("source"), m.Source)
	if m.Stage.IsUnknown() {
		r.unknown = append(r.unknown, path.Root("stage"))
	}
	for i, s := range elements[stageModel](ctx, m.Stage, d) {
		definition.Stages = append(definition.Stages, r.stage(path.Root("stage").AtListIndex(i), s))
	}
	if a := block[pipelineArtifactModel](&r, path.Root("artifact"), m.Artifact); a != nil {
		at := path.Root("artifact")
		definition.Artifact = &pipeline.Artifact{
			Include: r.list(at.AtName("include"), a.Include),
			Exclude: r.list(at.AtName("exclude"), a.Exclude),
			URL:     r.text(at.AtName("url"), a.URL),
			SHA256:  r.text(at.AtName("sha256"), a.SHA256),
		}
	}
	return definition, r.unknown
}

// reader reads values and remembers which are unknown.
type reader struct {
	ctx     context.Context
	d       Diagnostics
	unknown path.Paths
}

func (r *reader) source(at path.Path, object types.Object) *pipeline.Source {
	m := block[sourceModel](r, at, object)
	if m == nil {
		return nil
	}
	s := &pipeline.Source{}
	gitAt, directoryAt := at.AtName("git"), at.AtName("directory")
	if g := block[gitSourceModel](r, gitAt, m.Git); g != nil {
		s.Git = &pipeline.GitSource{
			URL:        r.text(gitAt.AtName("url"), g.URL),
			Path:       r.text(gitAt.AtName("path"), g.Path),
			Submodules: r.flag(gitAt.AtName("submodules"), g.Submodules),
		}
	}
	if dir := block[directorySourceModel](r, directoryAt, m.Directory); dir != nil {
		s.Directory = &pipeline.DirectorySource{Path: r.text(directoryAt.AtName("path"), dir.Path)}
	}
	return s
}

// block reads a single block: nil when it is not there, or not known.
func block[T any](r *reader, at path.Path, object types.Object) *T {
	if !r.known(at, object) {
		return nil
	}
	var m T
	r.d.Append(object.As(r.ctx, &m, basetypes.ObjectAsOptions{})...)
	return &m
}

func (r *reader) stage(at path.Path, m stageModel) pipeline.Stage {
	s := pipeline.Stage{
		Name:                 r.text(at.AtName("name"), m.Name),
		Needs:                r.list(at.AtName("needs"), m.Needs),
		Commands:             r.list(at.AtName("commands"), m.Commands),
		Timeout:              r.text(at.AtName("timeout"), m.Timeout),
		Retries:              r.number(at.AtName("retries"), m.Retries),
		AllowFailure:         r.flag(at.AtName("allow_failure"), m.AllowFailure),
		EnvironmentVariables: r.texts(at.AtName("environment_variables"), m.EnvironmentVariables),
		Secrets:              r.list(at.AtName("secrets"), m.Secrets),
		Artifacts:            r.list(at.AtName("artifacts"), m.Artifacts),
	}
	if reports := block[reportsModel](r, at.AtName("reports"), m.Reports); reports != nil {
		s.Reports = &pipeline.Reports{JUnit: r.list(at.AtName("reports").AtName("junit"), reports.JUnit)}
	}
	return s
}

func (r *reader) known(at path.Path, v attr.Value) bool {
	if v.IsUnknown() {
		r.unknown = append(r.unknown, at)
	}
	return !v.IsUnknown() && !v.IsNull()
}

func (r *reader) text(at path.Path, v types.String) string {
	r.known(at, v)
	return v.ValueString()
}

func (r *reader) flag(at path.Path, v types.Bool) bool {
	r.known(at, v)
	return v.ValueBool()
}

func (r *reader) number(at path.Path, v types.Int64) int {
	r.known(at, v)
	return int(v.ValueInt64())
}

// list reads a list of strings. An unknown element makes the list unknown.
func (r *reader) list(at path.Path, v types.List) []string {
	if !r.known(at, v) {
		return nil
	}
	var out []string
	for i, e := range v.Elements() {
		s, ok := e.(types.String)
		switch {
		case !ok:
		case s.IsUnknown():
			r.unknown = append(r.unknown, at)
		case s.IsNull():
			r.d.Invalid(at.AtListIndex(i), "An element is null", "Leave it out of the list, or give it a value.")
		default:
			out = append(out, s.ValueString())
		}
	}
	return out
}

// texts reads a map of strings. An unknown element makes the map unknown.
func (r *reader) texts(at path.Path, v types.Map) map[string]string {
	if !r.known(at, v) {
		return nil
	}
	out := make(map[string]string, len(v.Elements()))
	for key, e := range v.Elements() {
		s, ok := e.(types.String)
		switch {
		case !ok:
		case s.IsUnknown():
			r.unknown = append(r.unknown, at)
		case s.IsNull():
			r.d.Invalid(at.AtMapKey(key), "A value is null", "Leave it out of the map, or give it a value.")
		default:
			out[key] = s.ValueString()
		}
	}
	return out
}

// pipelinePath leads from a problem in a definition, which names stages, to the
// attribute of delivery_pipeline that is to blame.
func pipelinePath(d pipeline.Definition, problem pipeline.Problem) path.Path {
	at := path.Empty()
	inMap := false
	for i, step := range problem.Path {
		index, err := strconv.Atoi(step)
		switch {
		case i == 1 && problem.Path[0] == "stage":
			at = at.AtListIndex(stageIndex(d, problem, step))
		case inMap:
			at = at.AtMapKey(step)
		case err == nil:
			at = at.AtListIndex(index)
		default:
			at = at.AtName(step)
		}
		inMap = i == 2 && step == "environment_variables"
	}
	return at
}

// stageIndex is where a stage is in the configuration: the first of its name,
// or the second where the name itself is the problem.
func stageIndex(d pipeline.Definition, problem pipeline.Problem, name string) int {
	found := -1
	for i, s := range d.Stages {
		if s.Name != name {
			continue
		}
		again := found >= 0
		found = i
		if again || len(problem.Path) < 3 || problem.Path[2] != "name" {
			break
		}
	}
	return max(found, 0)
}

// concernsUnknown says that a problem may be one only because a value is not
// known yet.
func concernsUnknown(problem path.Path, unknown path.Paths) bool {
	return slices.ContainsFunc(unknown, func(u path.Path) bool {
		return within(problem, u) || within(u, problem)
	})
}

// within says that a path is at, or below, another.
func within(p, of path.Path) bool {
	ps, os := p.Steps(), of.Steps()
	if len(ps) < len(os) {
		return false
	}
	return ps[:len(os)].Equal(os)
}
