// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestEventIsAboutARelease: an event names the release that was deployed, for
// standard tools too where they can ask; without the release it is kept anyway.
func TestEventIsAboutARelease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		location string
		linked   bool
	}{
		"directory": {t.TempDir(), false},
		"linked":    {inProcess(t, nil, registry.WithReferrersSupport(true)), true},
		"unlinked":  {inProcess(t, nil), false},
	} {
		s := open(t, c.location).(*releases)
		path, a := artifactFile(t, []byte("x"))
		release := put(t, s, record("shop", "1.5.0", a), path)
		lone := storyOf("shop", "op-2", "succeeded", noon)
		lone.End.To.ReleaseID = "shop:9.9.9"
		for _, e := range []Event{storyOf("shop", "op-1", "succeeded", noon), lone} {
			if err := s.PutEvent(ctx, "shop", e); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for operation, subject := range map[string]string{"op-1": release.Digest, "op-2": ""} {
			m := manifestOf(t, s, "d.production.api.20260102T120000Z.succeeded."+operation)
			if m.Annotations[annotationSubject] != subject || (m.Subject != nil) != (c.linked && subject != "") {
				t.Errorf("%s: %s is about %q, subject %v", name, operation, m.Annotations[annotationSubject], m.Subject)
			}
			if m.Annotations[annotationCreated] != "2026-01-02T12:00:00Z" {
				t.Errorf("%s: %s was created %q", name, operation, m.Annotations[annotationCreated])
			}
		}
	}
}

func manifestOf(t *testing.T, s *releases, tag string) manifest {
	t.Helper()
	b, err := s.place("shop")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.manifest(context.Background(), tag)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseManifest(raw.data, EventType)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEventHoldsNoToken: the owner's token stays where it is of use, and texts
// are bounded.
func TestEventHoldsNoToken(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, t.TempDir()).(*releases)
	event := storyOf("shop", "op-1", "failed", noon)
	event.Begin.Owner, event.End.Owner = "the-owners-token", "the-owners-token"
	event.End.Reason = strings.Repeat("ü", maxText)
	event.End.Steps[0].Error = event.End.Reason
	if err := s.PutEvent(ctx, "shop", event); err != nil {
		t.Fatal(err)
	}
	b, err := s.place("shop")
	if err != nil {
		t.Fatal(err)
	}
	data, err := b.blob(ctx, manifestOf(t, s, "d.production.api.20260102T120000Z.failed.op-1").Config)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "the-owners-token") || len(data) > 3*maxText || !json.Valid(data) {
		t.Errorf("%d bytes: %.500s", len(data), data)
	}
	if event.End.Owner == "" || len(event.End.Reason) != 2*maxText {
		t.Error("what the caller gave was changed")
	}
}

// TestEventsAreFetchedOnce: a listing costs one request, and details that were
// seen cost only the manifest that the tag stands for now.
func TestEventsAreFetchedOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rig := testrig.NewRegistry(t)
	if err := open(t, rig.Host).PutEvent(ctx, "shop", storyOf("shop", "op-1", "succeeded", noon)); err != nil {
		t.Fatal(err)
	}
	s := open(t, rig.Host)
	before := len(rig.Requests())
	var blobs int
	for range 3 {
		refs, err := s.Events(ctx, "shop", EventFilter{})
		if err != nil || len(refs) != 1 {
			t.Fatalf("%v %v", refs, err)
		}
		if _, err := s.Event(ctx, "shop", refs[0]); err != nil {
			t.Fatal(err)
		}
	}
	asked := rig.Requests()[before:]
	for _, r := range asked {
		if strings.Contains(r, "/blobs/") {
			blobs++
		}
	}
	if blobs != 1 {
		t.Errorf("%d blobs were fetched:\n%s", blobs, strings.Join(asked, "\n"))
	}
}

// TestEventsAtOnce: several that tell the same story end with one event.
func TestEventsAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, open := range places(t) {
		var group sync.WaitGroup
		for n := range 4 {
			group.Go(func() {
				event := storyOf("shop", "op-1", "succeeded", noon)
				event.End.Reason = strings.Repeat("x", n)
				if err := open().PutEvent(ctx, "shop", event); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
		if refs, err := open().Events(ctx, "shop", EventFilter{}); err != nil || len(refs) != 1 {
			t.Errorf("%s: %v %v", name, refs, err)
		}
	}
}

// TestEventOfAnotherFormat: what a newer provider wrote, or somebody else, is
// told from what is damaged.
func TestEventOfAnotherFormat(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"schema":2,"end":["of another kind"]}`: "damaged",
		`{"schema":2,"end":{}}`:                  "newer version of the provider",
		`{"schema":1,"end":{"schema":9}}`:        "newer version of the provider",
		`{"end":{}}`:                             "no schema",
		`{"schema":1,"end":{}}`:                  "environment",
		`{"schema":1`:                            "not readable",
	} {
		_, err := parseEvent([]byte(text))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	s := open(t, t.TempDir()).(*releases)
	ctx := context.Background()
	event := storyOf("shop", "op-1", "succeeded", noon)
	if err := s.PutEvent(ctx, "shop", event); err != nil {
		t.Fatal(err)
	}
	m := manifestOf(t, s, "d.production.api.20260102T120000Z.succeeded.op-1")
	b, err := s.place("shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.(*layout).blobPath(m.Config.Digest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.(*layout).blobPath(m.Config.Digest), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	refs, err := s.Events(ctx, "shop", EventFilter{})
	if err != nil || len(refs) != 1 {
		t.Fatalf("%v %v", refs, err)
	}
	fresh := open(t, s.Location())
	if _, err := fresh.Event(ctx, "shop", refs[0]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// TestProbeLeavesNoLitter: nothing is listed afterwards, whatever the place, and
// in a registry every probe leaves the same manifest.
func TestProbeLeavesNoLitter(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, open := range places(t) {
		for range 2 {
			if err := open().Probe(ctx, "shop"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		b, err := open().(*releases).place("shop")
		if err != nil {
			t.Fatal(err)
		}
		if tags, err := b.tags(ctx); err != nil || len(tags) != 0 {
			t.Errorf("%s: %v %v", name, tags, err)
		}
	}
}

// TestProbeSeesRightsToManifests: a registry that takes blobs and no manifests
// takes no evidence.
func TestProbeSeesRightsToManifests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := openFast(t, inProcess(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}))
	if err := s.Writable(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	wantAccess(t, s.Probe(ctx, "shop"), true, ReasonDenied, "403")
}

func FuzzParseEvent(f *testing.F) {
	good, err := json.Marshal(storyOf("shop", "op-1", "succeeded", noon).portable())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"schema":1,"end":{"schema":1,"time":"9999-12-31T23:59:59-23:00"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		event, err := parseEvent(data)
		if err != nil {
			return
		}
		ref, err := event.Ref()
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := parseEventTag(ref.Tag); !ok || again != ref {
			t.Errorf("%+v, not %+v", again, ref)
		}
		if kept := event.portable(); kept.End.Owner != "" || kept.End.Time.Location() != time.UTC || kept.End.Phase == deployer.PhaseEnd && kept.Schema != EventSchema {
			t.Errorf("kept as %+v", kept)
		}
	})
}
