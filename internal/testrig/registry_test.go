// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

func image(t *testing.T) v1.Image {
	t.Helper()
	made, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func tag(t *testing.T, r *testrig.Registry) name.Tag {
	t.Helper()
	parsed, err := name.NewTag(r.Host + "/shop/api:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// status is the HTTP status of a refusal, 0 for success.
func status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var refused *transport.Error
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	return refused.StatusCode
}

func TestARegistryTakesAndGives(t *testing.T) {
	t.Parallel()
	r := testrig.NewRegistry(t, testrig.RegistryLogin("ci", "s3cret"))
	made, to := image(t), tag(t, r)
	if got := status(t, remote.Write(to, made)); got != http.StatusUnauthorized {
		t.Errorf("a stranger's push: %d", got)
	}
	login := remote.WithAuth(&authn.Basic{Username: r.Username, Password: r.Password})
	if err := remote.Write(to, made, login); err != nil {
		t.Fatal(err)
	}
	r.SetPullOnly(true)
	if got := status(t, remote.Write(to, image(t), login)); got != http.StatusForbidden {
		t.Errorf("a push without the right: %d", got)
	}
	pulled, err := remote.Image(to, login)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := made.Digest()
	if got, _ := pulled.Digest(); got != want {
		t.Errorf("pulled %s, pushed %s", got, want)
	}
}

func TestImmutableTagsAreWrittenOnce(t *testing.T) {
	t.Parallel()
	r := testrig.NewRegistry(t, testrig.ImmutableTags())
	if err := remote.Write(tag(t, r), image(t)); err != nil {
		t.Fatal(err)
	}
	if got := status(t, remote.Write(tag(t, r), image(t))); got != http.StatusPreconditionFailed {
		t.Errorf("overwriting a tag: %d", got)
	}
}

func TestAReadOnlyRegistryRefusesWrites(t *testing.T) {
	t.Parallel()
	r := testrig.NewRegistry(t, testrig.ReadOnly())
	if got := status(t, remote.Write(tag(t, r), image(t))); got != http.StatusMethodNotAllowed {
		t.Errorf("a push: %d", got)
	}
}
