// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// TestStore holds every kind of store to the same contract.
func TestStore(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, open func() Store, pipeline string){
		"keeps and gives back":    testRoundTrip,
		"reuses":                  testReuse,
		"refuses":                 testConflicts,
		"orders":                  testOrder,
		"knows what is not there": testNotFound,
		"takes many at once":      testConcurrency,
		"keeps events":            testEvents,
		"is writable":             testWritable,
		"survives a lost race":    testEvidenceOfAnother,
	}
	for place, open := range places(t) {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			n := 0
			for name, run := range cases {
				n++
				pipeline := fmt.Sprintf("shop-%d", n)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(t, open, pipeline)
				})
			}
		})
	}
}

func testRoundTrip(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	data := []byte("the bytes of " + pipeline)
	path, a := artifactFile(t, data)
	for _, version := range []string{"1.4.0", "1.5.0-rc.1+build.7"} {
		made := put(t, open(), record(pipeline, version, a), path)
		s := open()
		got, err := s.Get(ctx, pipeline, version)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(made, got); diff != "" {
			t.Fatalf("what is read is not what was put: %s", diff)
		}
		if got.ID() != pipeline+":"+version || got.Ref != "main" || got.Artifact.Files != 3 {
			t.Fatalf("got %+v", got)
		}
		wanted, err := record(pipeline, version, a).ManifestDigest()
		if err != nil || got.Digest != wanted {
			t.Fatalf("digest %s, want %s (%v)", got.Digest, wanted, err)
		}
		if !strings.HasSuffix(got.Reference, "@"+got.Digest) {
			t.Fatalf("reference %s", got.Reference)
		}
		e, err := s.Evidence(ctx, got)
		if err != nil {
			t.Fatal(err)
		}
		if want := evidence(t, noon); !e.CreatedAt.Equal(noon) || !cmp.Equal(e.Checks, want.Checks) {
			t.Fatalf("evidence %+v", e)
		}
		if len(e.Files) != 2 || e.Files[0].Name != "report.xml" || e.Files[0].Kind != FileJUnit || e.Files[1].Kind != FileLog || e.Files[1].Size != 9 {
			t.Fatalf("files %+v", e.Files)
		}
		dir := t.TempDir()
		for range 2 {
			file, err := s.Artifact(ctx, got, dir)
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, file, data)
			if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o222 != 0 {
				t.Fatalf("the artifact can be written to: %v %v", info.Mode(), err)
			}
		}
		// Another directory, also after the first is gone.
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		file, err := s.Artifact(ctx, got, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, file, data)
	}
}

func testReuse(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	path, a := artifactFile(t, []byte("reused"))
	r := record(pipeline, "1.5.0", a)
	first := put(t, open(), r, path)
	// The same inputs under another name of the commit, later.
	r.Ref = "v1.5.0"
	again, err := open().Put(ctx, r, path, evidence(t, noon.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Fatal(diff)
	}
	if e, err := open().Evidence(ctx, again); err != nil || !e.CreatedAt.Equal(noon) {
		t.Fatalf("the first evidence was replaced: %v %v", e.CreatedAt, err)
	}
	// Another encoder of the same archive.
	path, recompressed := artifactFile(t, []byte("reused, compressed by a newer encoder"))
	recompressed.DiffID = a.DiffID
	r.Artifact = recompressed
	if again, err = open().Put(ctx, r, path, evidence(t, noon)); err != nil || again.Digest != first.Digest {
		t.Fatalf("%v, %+v", err, again)
	}
}

func testConflicts(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	path, a := artifactFile(t, []byte("first"))
	r := record(pipeline, "1.5.0", a)
	first := put(t, open(), r, path)
	otherPath, other := artifactFile(t, []byte("second"))
	for name, c := range map[string]struct {
		change func(*Record)
		same   bool
		says   string
	}{
		"commit":     {func(r *Record) { r.Commit = commitB }, false, "commit 0123456789ab, now fedcba987654"},
		"definition": {func(r *Record) { r.Definition = definitionB }, false, "pipeline definition"},
		"content":    {func(r *Record) { r.Commit, r.Content = "", digestOf([]byte("x")) }, false, "content none"},
		"bytes":      {func(r *Record) { r.Artifact = other }, true, "with other bytes"},
	} {
		wanted := r
		c.change(&wanted)
		from := path
		if wanted.Artifact == other {
			from = otherPath
		}
		_, err := open().Put(ctx, wanted, from, evidence(t, noon))
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.SameInputs != c.same || conflict.Existing.Digest != first.Digest || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := open().Get(ctx, pipeline, "1.5.0"); err != nil || got.Digest != first.Digest {
		t.Fatalf("a refused release changed the first: %v", err)
	}
}

func testOrder(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	path, a := artifactFile(t, []byte("order"))
	early, late := "0.0.0-dir.ffffffffffff", "0.0.0-dir.000000000000a"
	for n, version := range []string{early, late} {
		r := record(pipeline, version, a)
		r.Commit, r.Content = "", digestOf([]byte(version))
		if _, err := open().Put(ctx, r, path, evidence(t, noon.Add(time.Duration(n)*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if newest, err := open().Newest(ctx, pipeline); err != nil || newest.Version != late {
		t.Fatalf("the newest is %s (%v), not the one made last", newest.Version, err)
	}
	for _, version := range []string{"1.4.0", "1.10.0", "1.9.0", "1.10.1-3.g0123456789ab.p01234567"} {
		put(t, open(), record(pipeline, version, a), path)
	}
	if newest, err := open().Newest(ctx, pipeline); err != nil || newest.Version != "1.10.1-3.g0123456789ab.p01234567" {
		t.Fatalf("the newest is %s (%v)", newest.Version, err)
	}
	versions, err := open().Versions(ctx, pipeline)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1.10.1-3.g0123456789ab.p01234567", "1.10.0", "1.9.0", "1.4.0"}
	if !slices.Equal(versions[:4], want) || len(versions) != 6 {
		t.Fatalf("versions %v", versions)
	}
}

func testNotFound(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	s := open()
	if _, err := s.Get(ctx, pipeline, "1.5.0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Newest(ctx, pipeline); !errors.Is(err, ErrNotFound) {
		t.Errorf("newest: %v", err)
	}
	if versions, err := s.Versions(ctx, pipeline); err != nil || len(versions) != 0 {
		t.Errorf("versions: %v %v", versions, err)
	}
	if events, err := s.Events(ctx, pipeline, EventFilter{}); err != nil || len(events) != 0 {
		t.Errorf("events: %v %v", events, err)
	}
	if _, err := s.Evidence(ctx, Release{Record: Record{Pipeline: pipeline, Version: "1.5.0"}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("evidence: %v", err)
	}
	if _, err := s.Get(ctx, "../"+pipeline, "1.5.0"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a pipeline that leads elsewhere: %v", err)
	}
	if _, err := s.Get(ctx, pipeline, "v1.5.0"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a version with a v: %v", err)
	}
}

func testConcurrency(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	path, a := artifactFile(t, []byte("at once"))
	shared := open()
	var group sync.WaitGroup
	digests := make([]string, 6)
	for n := range digests {
		s := shared
		if n%2 == 0 {
			s = open()
		}
		ev := evidence(t, noon.Add(time.Duration(n)*time.Second))
		group.Go(func() {
			release, err := s.Put(ctx, record(pipeline, "2.0.0", a), path, ev)
			if err != nil {
				t.Error(err)
			}
			digests[n] = release.Digest
			version := fmt.Sprintf("2.1.%d", n)
			if _, err := s.Put(ctx, record(pipeline, version, a), path, ev); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, d := range digests {
		if d != digests[0] || d == "" {
			t.Fatalf("digests %v", digests)
		}
	}
	if versions, err := open().Versions(ctx, pipeline); err != nil || len(versions) != 1+len(digests) {
		t.Fatalf("%v %v", versions, err)
	}
	release, err := shared.Get(ctx, pipeline, "2.0.0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 4 {
		group.Go(func() {
			file, err := shared.Artifact(ctx, release, dir)
			if err != nil {
				t.Error(err)
				return
			}
			sameBytes(t, file, []byte("at once"))
		})
	}
	group.Wait()
}

// storyOf is an operation of production/api that took 90 seconds.
func storyOf(pipeline, operation, outcome string, ended time.Time) Event {
	begin := deployer.Entry{
		Schema: deployer.EntrySchema, Phase: deployer.PhaseBegin,
		Operation:   deployer.Operation{ID: operation, Kind: deployer.OperationUpdate, Actor: "ci@runner", Started: ended.Add(-90 * time.Second)},
		Environment: "production", Deployment: "api", Owner: "0b1c", Generation: 7, Time: ended.Add(-80 * time.Second),
		To:   deployer.RevisionInfo{ID: "1.5.0-aa", ReleaseID: pipeline + ":1.5.0", Version: "1.5.0", Commit: commitA},
		From: map[string]string{"app-1": "1.4.0-bb", "app-2": ""}, Strategy: "rolling",
	}
	end := begin
	end.Phase, end.Generation, end.Time, end.From = deployer.PhaseEnd, 8, ended, nil
	end.Outcome, end.Reason = deployer.Outcome(outcome), "it did not answer"
	end.Runs = map[string]string{"app-1": "1.5.0-aa", "app-2": "1.5.0-aa"}
	end.Steps = []deployer.EntryStep{{Name: "switch", Instances: []string{"app-1"}, Started: begin.Time, Ended: ended, Error: "exit status 1"}}
	return Event{Begin: &begin, End: end, Releases: map[string]string{"1.5.0-aa": pipeline + ":1.5.0", "1.4.0-bb": pipeline + ":1.4.0"}}
}

func testEvents(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	ended := noon.Add(90*time.Second + 7*time.Millisecond)
	east := time.FixedZone("", 3600)
	event := storyOf(pipeline, "op-4f1c", "succeeded", ended.In(east))
	later := storyOf(pipeline, strings.Repeat("x", 64), "revert_failed", noon.Add(time.Hour))
	other := storyOf(pipeline, "op-5", "failed", noon.Add(time.Hour))
	other.Begin, other.End.Deployment = nil, "worker"
	again := storyOf(pipeline, "op-4f1c", "succeeded", ended)
	again.End.Reason = "told in other words" // the first one stays
	if err := open().Probe(ctx, pipeline); err != nil {
		t.Fatal(err)
	}
	for _, e := range []Event{event, again, event, later, other} {
		if err := open().PutEvent(ctx, pipeline, e); err != nil {
			t.Fatal(err)
		}
	}
	s := open()
	all, err := s.Events(ctx, pipeline, EventFilter{})
	if err != nil || len(all) != 3 || all[2].Operation != "op-4f1c" || !all[2].Names("op-4f1c") || all[2].Names("op-4f1c5") {
		t.Fatalf("%v %v", all, err)
	}
	some, err := s.Events(ctx, pipeline, EventFilter{Environment: "production", Deployment: "api", Since: noon.Add(time.Minute), Limit: 1})
	if err != nil || len(some) != 1 || some[0].Outcome != "revert_failed" || !some[0].Names(later.End.Operation.ID) {
		t.Fatalf("%v %v", some, err)
	}
	want := storyOf(pipeline, "op-4f1c", "succeeded", ended)
	want.Schema, want.Begin.Owner, want.End.Owner = EventSchema, "", ""
	for range 2 { // what is remembered is the same
		got, err := s.Event(ctx, pipeline, all[2])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	}
	if versions, err := s.Versions(ctx, pipeline); err != nil || len(versions) != 0 {
		t.Fatalf("events are no versions: %v %v", versions, err)
	}
	for name, bad := range map[string]func(*deployer.Entry){
		"environment": func(e *deployer.Entry) { e.Environment = "Prod" },
		"outcome":     func(e *deployer.Entry) { e.Outcome = "so.so" },
		"operation":   func(e *deployer.Entry) { e.Operation.ID = "a.b" },
		"beginning":   func(e *deployer.Entry) { e.Operation.ID = "another" },
		"end":         func(e *deployer.Entry) { e.Time = time.Time{} },
		"far end":     func(e *deployer.Entry) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		e := storyOf(pipeline, "op-6", "succeeded", ended)
		bad(&e.End)
		if err := s.PutEvent(ctx, pipeline, e); err == nil {
			t.Errorf("an event with a bad %s was kept", name)
		}
	}
}

func testWritable(t *testing.T, open func() Store, pipeline string) {
	if err := open().Writable(context.Background(), pipeline); err != nil {
		t.Fatal(err)
	}
	if versions, err := open().Versions(context.Background(), pipeline); err != nil || len(versions) != 0 {
		t.Fatalf("asking left something: %v %v", versions, err)
	}
}

// testEvidenceOfAnother: a run that was interrupted left evidence of bytes
// that never became the release.
func testEvidenceOfAnother(t *testing.T, open func() Store, pipeline string) {
	ctx := context.Background()
	lostPath, lost := artifactFile(t, []byte("never released"))
	s := open().(*releases)
	b, err := s.place(pipeline)
	if err != nil {
		t.Fatal(err)
	}
	r := record(pipeline, "1.5.0", lost)
	r.Schema = RecordSchema
	config, manifest, err := releaseManifest(r)
	if err != nil {
		t.Fatal(err)
	}
	err = b.update(ctx, func(tx transaction) error {
		artifact := descriptor{Digest: lost.Digest, Size: lost.Size}
		if err := errors.Join(tx.putFile(ctx, artifact, lostPath), tx.put(ctx, config)); err != nil {
			return err
		}
		return putEvidence(ctx, tx, r, manifest, evidence(t, noon.Add(-time.Hour)))
	})
	if err != nil {
		t.Fatal(err)
	}
	path, a := artifactFile(t, []byte("released"))
	release := put(t, open(), record(pipeline, "1.5.0", a), path)
	if e, err := open().Evidence(ctx, release); err != nil || !e.CreatedAt.Equal(noon) {
		t.Fatalf("evidence of %v: %v", e.CreatedAt, err)
	}
}

// TestDigest pins the bytes of a release's manifest: it must be the same on
// every machine and in every version of the provider.
func TestDigest(t *testing.T) {
	t.Parallel()
	_, a := artifactFile(t, []byte("the artifact"))
	r := record("shop", "1.5.0+b.1", a)
	r.Schema = RecordSchema
	config, m, err := releaseManifest(r)
	if err != nil {
		t.Fatal(err)
	}
	wantConfig := `{"schema":1,"pipeline":"shop","version":"1.5.0+b.1","commit":"0123456789abcdef0123456789abcdef01234567",` +
		`"definition":"` + definitionA + `","ref":"main","source":"https://git.acme.io/shop.git",` +
		`"artifact":{"media_type":"application/vnd.tfdelivery.archive.v1.tar+zstd","digest":"` + a.Digest + `","diff_id":"` + a.DiffID + `","size":12,"files":3}}`
	if string(config.data) != wantConfig {
		t.Errorf("config\n%s, want\n%s", config.data, wantConfig)
	}
	const want = "sha256:2e448a40bfc3cad30e3304e6bbab7f3e12bcfdb4d335f9e9444536d45571e722"
	if m.Digest != want {
		t.Errorf("digest %s, want %s, of\n%s", m.Digest, want, m.data)
	}
}
