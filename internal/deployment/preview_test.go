// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"context"
	"errors"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// seer is a fleet that looks ahead.
type seer struct {
	describedFleet
	can   bool
	asked []deployer.PreviewRequest
	err   error
}

func (s *seer) Deployer(context.Context, string) (deployer.Deployer, error) { return s, nil }

func (s *seer) Describe(ctx context.Context) (deployer.Description, error) {
	d, err := s.describedFleet.Describe(ctx)
	if s.can {
		d.Capabilities = append(d.Capabilities, deployer.CanPreview)
	}
	return d, err
}

func (s *seer) Preview(_ context.Context, req deployer.PreviewRequest) (deployer.Preview, error) {
	s.asked = append(s.asked, req)
	return deployer.Preview{Findings: []deployer.Diagnostic{{Summary: "A gap"}}}, s.err
}

func TestPreview(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.release("1.0.0")
	w.spec.ReleaseID = "shop:1.0.0"
	s := &seer{describedFleet: describedFleet{w.fleet}, can: true}
	service := w.service()
	service.Deployers = s
	wanted, err := service.Validate(t.Context(), w.spec)
	if err != nil {
		t.Fatal(err)
	}
	wanted.SecretNames = []string{"PASSWORD"}
	known := State{Instances: map[string]Instance{
		"app-1": {Release: "shop:0.9.0", Revision: "old", Health: HealthHealthy}, "app-2": {Release: "shop:0.9.0", Revision: "old", Health: HealthHealthy},
	}}
	private := Private{Owner: "o", Notes: []Note{{Instance: "app-2", Unreachable: true, Text: "no route"}, {Text: "something else"}}}
	findings, err := service.Preview(t.Context(), w.spec, wanted, known, private)
	if err != nil || len(findings) != 1 || len(s.asked) != 1 {
		t.Fatalf("findings %v, asked %d times: %v", findings, len(s.asked), err)
	}
	got := s.asked[0]
	if len(got.Revision.Secrets) > 0 || len(got.Revision.SecretNames) != 1 || got.Revision.ID != wanted.RevisionID {
		t.Errorf("the revision is %+v", got.Revision)
	}
	if a := got.Revision.Artifact; a.Size != int64(len("1.0.0")) || a.Digest != digestOf("1.0.0") {
		t.Errorf("the artifact is %+v", a)
	}
	if len(got.State.Instances) != 2 || got.State.Instances[0].Serving().Revision.ID != "old" || got.State.Instances[1].Unreachable != "no route" {
		t.Errorf("the state is %+v", got.State.Instances)
	}
	s.err = errors.New("no")
	if _, err := service.Preview(t.Context(), w.spec, wanted, known, private); err == nil {
		t.Error("its error is lost")
	}
}

// Nobody is asked who cannot look ahead, nor while something is not known yet.
func TestPreviewIsNotAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.spec.ReleaseID = "shop:1.0.0"
	s := &seer{describedFleet: describedFleet{w.fleet}}
	service := w.service()
	service.Deployers = s
	wanted, err := service.Validate(t.Context(), w.spec)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(spec Spec, wanted Wanted) {
		t.Helper()
		if _, err := service.Preview(t.Context(), spec, wanted, State{}, Private{}); err != nil {
			t.Error(err)
		}
	}
	ask(w.spec, wanted)
	s.can = true
	unknown := wanted
	unknown.RevisionID = ""
	ask(w.spec, unknown)
	unknown = wanted
	unknown.Validation.InstancesUnknown = true
	ask(w.spec, unknown)
	spec := w.spec
	spec.Config = []byte(`{"hosts":{"app-1":` + string(unknownInJSON) + `}}`)
	ask(spec, wanted)
	if len(s.asked) > 0 {
		t.Errorf("asked %d times", len(s.asked))
	}
	ask(w.spec, wanted) // not in the store yet
	if len(s.asked) != 1 || s.asked[0].Revision.Artifact != (deployer.Artifact{}) {
		t.Errorf("asked with %+v", s.asked)
	}
}
