// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.path, name)
	r.must(os.MkdirAll(filepath.Dir(path), 0o755))
	r.must(os.WriteFile(path, []byte(text), 0o600))
}

func (r *rig) remove() {
	r.t.Helper()
	_, err := r.d.Remove(r.t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	r.must(err)
}

// TestDirectoriesOfOthersAreRefused finds what other tools lay out alike.
func TestDirectoriesOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(r *rig){
		"releases": func(r *rig) { r.write("releases/20260101000000/app", "theirs") },
		"a link": func(r *rig) {
			r.write("v1/app", "theirs")
			r.must(os.Symlink("v1", filepath.Join(r.path, "current")))
		},
		"our name": func(r *rig) { r.write(".delivery/project.toml", "theirs") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			lay(r)
			before := listing(t, r.path)
			_, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
			wantError(t, err, deployer.CodeRefused, "not of this provider", "left as it is")
			r.token = `{"local:` + r.path + `":"1-x"}`
			_, err = r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
			if after := listing(t, r.path); after != before {
				t.Errorf("changed (%v) from\n%s\nto\n%s", err, before, after)
			}
			if i := r.instance(); len(i.Drift) != 1 || i.Serving() != nil {
				t.Errorf("instance: %+v", i)
			}
		})
	}
}

// TestStrangersAmongReleasesStay keeps what somebody put beside our releases.
func TestStrangersAmongReleasesStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
	r.write("releases/20260101000000/app", "theirs")
	r.acquire()
	_, err := r.d.Prune(t.Context(), deployer.PruneRequest{Target: r.target(), Owner: r.owner, Token: r.token, Keep: 1})
	r.must(err)
	r.remove()
	if !r.exists("releases/20260101000000/app") || r.exists("releases/rev-1") || r.exists("current") || r.exists(".delivery") {
		t.Error(listing(t, r.path))
	}
}
