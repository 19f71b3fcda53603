// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/tfdelivery/terraform-provider-delivery/internal/release"
)

// releasePrivateKey is where a release's private state is.
const releasePrivateKey = "release"

const releasePrivateSchema = 1

// releasePrivate is what a plan needs and no user does.
type releasePrivate struct {
	Schema int `json:"schema"`
	// Wanted is the version as configured when the release was made; "" is a
	// derived one.
	Wanted string `json:"wanted,omitempty"`
	// Content and Definition are digests of what the release was made of.
	Content    string `json:"content,omitempty"`
	Definition string `json:"definition,omitempty"`
	// Observation is what Read found last.
	Observation *release.Observation `json:"observation,omitempty"`
}

func readReleasePrivate(ctx context.Context, from privateReader, d Diagnostics) releasePrivate {
	var p releasePrivate
	raw, diags := from.GetKey(ctx, releasePrivateKey)
	d.Append(diags...)
	if len(raw) == 0 {
		return p
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		d.Error(path.Root("pipeline"), "The private part of the state cannot be read", err)
	} else if p.Schema > releasePrivateSchema {
		d.Error(path.Root("pipeline"), "The state is of a newer provider",
			fmt.Errorf("its private part has schema %d and this provider knows %d: use the version that wrote it, or a newer one", p.Schema, releasePrivateSchema))
	}
	return p
}

func writeReleasePrivate(ctx context.Context, to privateWriter, p releasePrivate, d Diagnostics) {
	p.Schema = releasePrivateSchema
	raw, err := json.Marshal(p)
	if err != nil {
		d.Error(path.Root("pipeline"), "The private part of the state cannot be written", err)
		return
	}
	d.Append(to.SetKey(ctx, releasePrivateKey, raw)...)
}

// observations keeps what a plan of a new release observed until the release
// is created in the same process: Terraform gives a create no private state.
type observations struct {
	mu  sync.Mutex
	all map[[2]string]planObserved // by id and digest of the definition
}

type planObserved struct {
	planned     release.Planned
	observation release.Observation
}

func (o *observations) remember(planned release.Planned, observation release.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[[2]string]planObserved{}
	}
	o.all[[2]string{planned.ID, planned.Definition}] = planObserved{planned, observation}
}

func (o *observations) recall(id, definition string) (planObserved, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.all[[2]string{id, definition}]
	return found, ok
}
