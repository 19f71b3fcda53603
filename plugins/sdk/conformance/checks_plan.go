// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// planChecks are about what is asked at plan.
var planChecks = []check{
	{"Describe/says_who_it_is", nil, func(r *rig) {
		d := r.description
		if d.Name == "" || d.Version == "" || len(d.ArtifactKinds) == 0 {
			r.Errorf("name %q, version %q, artifact kinds %q: all three are needed", d.Name, d.Version, d.ArtifactKinds)
		}
		if _, err := sdk.ParseSchema(d.TargetSchema); err != nil {
			r.Errorf("target: %v", err)
		}
		if len(d.ConnectionSchema) > 0 {
			if _, err := sdk.ParseSchema(d.ConnectionSchema); err != nil {
				r.Errorf("connection: %v", err)
			}
		}
		if again, err := r.deployer.Describe(r.ctx()); err != nil || !reflect.DeepEqual(again, d) {
			r.Errorf("the second time it says something else: %+v, %v", again, err)
		}
	}},
	{"Validate/instances_are_in_order", nil, func(r *rig) {
		sorted := slices.IsSortedFunc(r.instances, func(a, b deployer.DesiredInstance) int {
			return cmp.Or(cmp.Compare(a.Order, b.Order), strings.Compare(a.ID, b.ID))
		})
		if !sorted {
			r.Errorf("they are not sorted by order and id: %+v", r.instances)
		}
		seen := map[string]bool{}
		for _, i := range r.instances {
			if i.ID == "" || i.Scope == "" || i.Place == "" || seen[i.ID] {
				r.Errorf("%+v: id, scope and place are needed, and each id once", i)
			}
			seen[i.ID] = true
		}
	}},
	{"Validate/refuses_a_typo_at_its_path", []deployer.Capability{deployer.CanValidate}, func(r *rig) {
		schema, err := sdk.ParseSchema(r.description.TargetSchema)
		r.must(err, "the target schema")
		const typo = "no_such_argument"
		mistaken := r.edited(typo, "x")
		if len(schema.Validate(mistaken.Config)) == 0 {
			return // the schema allows any name
		}
		v, err := r.deployer.Validate(r.ctx(), deployer.ValidateRequest{Target: mistaken})
		r.must(err, "Validate")
		if !slices.ContainsFunc(v.Diagnostics, func(d deployer.Diagnostic) bool { return slices.Equal(d.Path, []string{typo}) }) {
			r.Errorf("no finding has the path %q: %+v", typo, v.Diagnostics)
		}
	}},
	{"Validate/takes_unknown_values", []deployer.Capability{deployer.CanValidate}, func(r *rig) {
		var fields map[string]json.RawMessage
		r.must(json.Unmarshal(r.target.Config, &fields), "the target")
		for name := range fields {
			v, err := r.deployer.Validate(r.ctx(), deployer.ValidateRequest{Target: r.edited(name, deployer.UnknownMarker)})
			r.must(err, "Validate with an unknown "+name)
			for _, d := range v.Diagnostics {
				if !d.Warning {
					r.Errorf("an unknown %s is refused: %s", name, d.Summary)
				}
			}
		}
	}},
	{"Inspect/of_nothing", nil, func(r *rig) {
		state := r.inspect()
		if state.Owner != "" || state.LastGood != nil || state.Unfinished != nil || state.Generation != 0 {
			r.Errorf("a fresh target has a past: %+v", state)
		}
		for _, want := range r.instances {
			at := slices.IndexFunc(state.Instances, func(i deployer.Instance) bool { return i.ID == want.ID })
			if at < 0 {
				r.Errorf("%s of Validate is missing", want.ID)
				continue
			}
			i := state.Instances[at]
			if i.Scope != want.Scope || i.Place != want.Place || !i.Desired {
				r.Errorf("Inspect and Validate disagree: %+v and %+v", i, want)
			}
			if i.Unreachable != "" {
				r.Errorf("%s is unreachable: %s", i.ID, i.Unreachable)
			}
		}
		r.empty("on a fresh target")
	}},
	{"Unsupported/calls_say_so", nil, func(r *rig) {
		m := r.mutation(r.first())
		for capability, call := range map[deployer.Capability]func() error{
			deployer.CanStage: func() error {
				_, err := r.deployer.Stage(r.ctx(), deployer.StageRequest{Mutation: m, RevisionID: "r1"}, nil)
				return err
			},
			deployer.CanRetire: func() error {
				_, err := r.deployer.Retire(r.ctx(), deployer.RetireRequest{Mutation: m, RevisionID: "r1"}, nil)
				return err
			},
			deployer.CanShift: func() error {
				_, err := r.deployer.Shift(r.ctx(), deployer.ShiftRequest{Target: r.target})
				return err
			},
			deployer.CanRun: func() error {
				_, err := r.deployer.Run(r.ctx(), deployer.RunRequest{Mutation: m, RevisionID: "r1", Command: []string{"true"}}, nil)
				return err
			},
		} {
			if !r.can(capability) {
				r.refused(call(), "without "+string(capability), deployer.CodeUnsupported)
			}
		}
	}},
}

// edited is the target with one field set to something else.
func (r *rig) edited(name, value string) deployer.Target {
	r.Helper()
	var fields map[string]any
	r.must(json.Unmarshal(r.target.Config, &fields), "the target")
	fields[name] = value
	config, err := json.Marshal(fields)
	r.must(err, "the target")
	out := r.target
	out.Config = config
	return out
}
