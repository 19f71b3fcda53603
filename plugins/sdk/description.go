// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

type descriptionJSON struct {
	Name             string                `json:"name"`
	Version          string                `json:"version"`
	Capabilities     []deployer.Capability `json:"capabilities"`
	ArtifactKinds    []string              `json:"artifact_kinds"`
	ConnectionSchema json.RawMessage       `json:"connection_schema,omitempty"`
	TargetSchema     json.RawMessage       `json:"target_schema,omitempty"`
}

// DescriptionJSON writes a description as the describe argument prints it:
// indented, in an order that never changes.
func DescriptionJSON(d deployer.Description) ([]byte, error) {
	out := descriptionJSON{
		Name: d.Name, Version: d.Version,
		Capabilities: slices.Sorted(slices.Values(d.Capabilities)), ArtifactKinds: d.ArtifactKinds,
	}
	for _, s := range []struct {
		from json.RawMessage
		to   *json.RawMessage
	}{{d.ConnectionSchema, &out.ConnectionSchema}, {d.TargetSchema, &out.TargetSchema}} {
		if len(s.from) == 0 {
			continue
		}
		var err error
		if *s.to, err = Canonical(s.from); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
	}
	return json.MarshalIndent(out, "", "  ")
}

// ParseDescription reads what DescriptionJSON wrote. The schemas are canonical.
func ParseDescription(text []byte) (deployer.Description, error) {
	var in descriptionJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return deployer.Description{}, fmt.Errorf("description of a deployer: %w", err)
	}
	d := deployer.Description{
		Name: in.Name, Version: in.Version, Capabilities: in.Capabilities, ArtifactKinds: in.ArtifactKinds,
	}
	var err error
	if len(in.ConnectionSchema) > 0 {
		if d.ConnectionSchema, err = Canonical(in.ConnectionSchema); err != nil {
			return deployer.Description{}, err
		}
	}
	if len(in.TargetSchema) > 0 {
		if d.TargetSchema, err = Canonical(in.TargetSchema); err != nil {
			return deployer.Description{}, err
		}
	}
	return d, nil
}
