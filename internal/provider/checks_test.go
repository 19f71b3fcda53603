// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
)

// later checks a planned value of the release that is not known when the test
// is written down, such as that of a commit made between two steps.
type later struct {
	attribute string
	want      func() knownvalue.Check
}

func (l later) CheckPlan(ctx context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	planned(l.attribute, l.want()).CheckPlan(ctx, req, resp)
}
