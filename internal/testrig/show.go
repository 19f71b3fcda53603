// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// State is what terraform show says of the state.
type State struct {
	Outputs   map[string]any
	Resources []Resource // of all modules, managed and data
}

// Resource is one resource in a state.
type Resource struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"` // managed or data
	Type    string         `json:"type"`
	Name    string         `json:"name"`
	Tainted bool           `json:"tainted"`
	Values  map[string]any `json:"values"`
}

// Plan is what terraform show says of a saved plan.
type Plan struct {
	Changes []Change `json:"resource_changes"`
	Drift   []Change `json:"resource_drift"`
}

// Change is what a plan does to one resource.
type Change struct {
	Address string `json:"address"`
	Change  struct {
		Actions      []string       `json:"actions"`
		Before       map[string]any `json:"before"`
		After        map[string]any `json:"after"`
		AfterUnknown map[string]any `json:"after_unknown"`
	} `json:"change"`
}

// Does joins the actions: "create", "update", "delete,create", "no-op".
func (c Change) Does() string { return strings.Join(c.Change.Actions, ",") }

// ShowState reads the state.
func (tf *Terraform) ShowState() State {
	tf.t.Helper()
	state, err := tf.readState()
	if err != nil {
		tf.t.Fatal(err)
	}
	return state
}

// Resource returns the values of one resource in the state. Numbers are
// float64. The test fails if it is not there.
func (tf *Terraform) Resource(address string) map[string]any {
	tf.t.Helper()
	for _, resource := range tf.ShowState().Resources {
		if resource.Address == address {
			return resource.Values
		}
	}
	tf.t.Fatalf("%s is not in the state", address)
	return nil
}

// Has says whether a resource is in the state.
func (tf *Terraform) Has(address string) bool {
	tf.t.Helper()
	for _, resource := range tf.ShowState().Resources {
		if resource.Address == address {
			return true
		}
	}
	return false
}

// SavePlan plans into a file and returns its path.
func (tf *Terraform) SavePlan(args ...string) string {
	tf.t.Helper()
	tf.plans++
	file := filepath.Join(tf.Dir, fmt.Sprintf("saved-%d.tfplan", tf.plans))
	tf.Plan(append(args[:len(args):len(args)], "-out="+file)...)
	return file
}

// ShowPlan reads a saved plan.
func (tf *Terraform) ShowPlan(file string) Plan {
	tf.t.Helper()
	var plan Plan
	if err := tf.show(&plan, file); err != nil {
		tf.t.Fatal(err)
	}
	return plan
}

// Planned plans and returns what would happen to one resource. The test fails
// if the plan does not mention it.
func (tf *Terraform) Planned(address string, args ...string) Change {
	tf.t.Helper()
	for _, change := range tf.ShowPlan(tf.SavePlan(args...)).Changes {
		if change.Address == address {
			return change
		}
	}
	tf.t.Fatalf("the plan does not mention %s", address)
	return Change{}
}

type stateModule struct {
	Resources []Resource    `json:"resources"`
	Children  []stateModule `json:"child_modules"`
}

func (m stateModule) all() []Resource {
	found := m.Resources
	for _, child := range m.Children {
		found = append(found, child.all()...)
	}
	return found
}

func (tf *Terraform) readState() (State, error) {
	var shown struct {
		Values struct {
			Outputs map[string]struct {
				Value any `json:"value"`
			} `json:"outputs"`
			Root stateModule `json:"root_module"`
		} `json:"values"`
	}
	if err := tf.show(&shown); err != nil {
		return State{}, err
	}
	state := State{Outputs: map[string]any{}, Resources: shown.Values.Root.all()}
	for name, output := range shown.Values.Outputs {
		state.Outputs[name] = output.Value
	}
	return state, nil
}

func (tf *Terraform) show(into any, file ...string) error {
	out := tf.Run(append([]string{"show", "-json"}, file...)...)
	if out.Err != nil {
		return fmt.Errorf("terraform show: %w\n%s", out.Err, out.Text())
	}
	if err := json.Unmarshal([]byte(out.Stdout), into); err != nil {
		return fmt.Errorf("read what terraform show -json printed: %w", err)
	}
	return nil
}
