// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout_test

import (
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout/rollouttest"
)

func TestAReportNamesThePlaceOfAnInstanceThatMoved(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		before := rollouttest.TargetAt(map[string]string{"local": "/srv/old"})
		r.target = rollouttest.TargetAt(map[string]string{"local": "/srv/new"})
		r.fleet.Install(before, owner, "1.0.0")
		r.fleet.Script = on("Prepare", "local", "", rollouttest.Fault{Err: rollouttest.Broken("local", "no space")})
		plan := r.plan("1.0.0")
		plan.Previous = &before
		_, err := r.roll(r.Context(), plan)
		wants(r.T, err, rollout.ReasonFailed, "local at /srv/new: runs nothing", "local at /srv/old: runs shop:1.0.0 (revision 1.0.0)")
	})
}
