// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/tfdelivery/terraform-provider-delivery/internal/deployment"
)

// privateKey is where a deployment's private state is.
const privateKey = "delivery"

// privateReader and privateWriter are what Terraform's framework offers of it
// in requests and responses.
type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

func readPrivate(ctx context.Context, from privateReader, d Diagnostics) deployment.Private {
	raw, diags := from.GetKey(ctx, privateKey)
	d.Append(diags...)
	var p deployment.Private
	if len(raw) == 0 {
		return p
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		d.Error(path.Empty(), "The private part of the state cannot be read", err)
	}
	if p.Schema > deployment.PrivateSchema {
		d.Error(path.Empty(), "The state is of a newer provider", fmt.Errorf("its private part has schema %d and this provider knows %d: use the version that wrote it, or a newer one", p.Schema, deployment.PrivateSchema))
	}
	return p
}

func writePrivate(ctx context.Context, to privateWriter, p deployment.Private, d Diagnostics) {
	p.Schema = deployment.PrivateSchema
	raw, err := json.Marshal(p)
	if err != nil {
		d.Error(path.Empty(), "The private part of the state cannot be written", err)
		return
	}
	d.Append(to.SetKey(ctx, privateKey, raw)...)
}
