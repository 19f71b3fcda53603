// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// rig is a deployment of a test, by a deployer with real shells.
type rig struct {
	t      *testing.T
	d      *Deployer
	path   string
	config map[string]any
	id     string // of the only instance
	owner  string
	op     deployer.Operation
	token  string
	gen    int64
}

// newRig deploys to this machine, below a directory of the test.
func newRig(t *testing.T) *rig {
	t.Helper()
	d := New(Local, "test")
	if err := d.Configure(t.Context(), deployer.ConfigureRequest{Directory: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	return rigOf(t, d, localHost, map[string]any{})
}

func rigOf(t *testing.T, d *Deployer, id string, config map[string]any) *rig {
	t.Helper()
	r := &rig{
		t: t, d: d, id: id, config: config, owner: "owner-1", path: filepath.Join(t.TempDir(), "app"),
		op: deployer.Operation{ID: "op-1", Kind: deployer.OperationCreate, Actor: "tester", Started: time.Now().UTC()},
	}
	r.config["path"] = r.path
	t.Cleanup(func() {
		r.killAll()
		_ = d.Close()
	})
	return r
}

// killAll ends what the supervisor of this deployment left running.
func (r *rig) killAll() {
	for _, name := range []string{"supervisor", "child"} {
		text, err := os.ReadFile(filepath.Join(r.path, metaDir, "run", name))
		if err != nil {
			continue
		}
		pid, _, _ := strings.Cut(string(text), " ")
		if n, err := strconv.Atoi(pid); err == nil && n > 1 && r.ours(n) {
			_ = syscall.Kill(-n, syscall.SIGKILL)
		}
	}
}

// ours says that a process works in this deployment: its number may long be
// somebody else's.
func (r *rig) ours(pid int) bool {
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && strings.HasPrefix(dir, r.path)
}

func (r *rig) target() deployer.Target {
	raw, err := json.Marshal(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	return deployer.Target{Environment: "test", Deployment: "app", Config: raw}
}

func (r *rig) mutation() deployer.Mutation {
	return deployer.Mutation{Target: r.target(), Instance: r.id, Operation: r.op, Owner: r.owner, Token: r.token}
}

func (r *rig) acquire() {
	r.t.Helper()
	lock, err := r.d.Acquire(r.t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
	r.must(err)
	r.token = lock.Token
}

func (r *rig) release() {
	r.t.Helper()
	r.must(r.d.Release(r.t.Context(), deployer.ReleaseRequest{Target: r.target(), Token: r.token}))
}

func (r *rig) record(phase string, to deployer.RevisionInfo, outcome deployer.Outcome) {
	r.t.Helper()
	r.gen++
	r.must(r.d.Record(r.t.Context(), deployer.RecordRequest{Target: r.target(), Token: r.token, Entry: deployer.Entry{
		Schema: deployer.EntrySchema, Phase: phase, Operation: r.op, Environment: "test", Deployment: "app", Owner: r.owner,
		Generation: r.gen, Time: time.Now().UTC(), To: to, Outcome: outcome,
	}}))
}

func (r *rig) prepare(rev deployer.Revision) {
	r.t.Helper()
	_, err := r.d.Prepare(r.t.Context(), deployer.PrepareRequest{Mutation: r.mutation(), Revision: rev}, quiet)
	r.must(err)
}

func (r *rig) activate(id string) deployer.Result {
	r.t.Helper()
	result, err := r.d.Activate(r.t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: id}, quiet)
	r.must(err)
	if result.Runs != id {
		r.t.Errorf("activate runs %q, want %q", result.Runs, id)
	}
	return result
}

func (r *rig) check(id string, probe deployer.Probe, wait time.Duration) deployer.CheckResult {
	r.t.Helper()
	result, err := r.d.Check(r.t.Context(), deployer.CheckRequest{Target: r.target(), Instance: r.id, RevisionID: id, Probe: probe, Wait: wait})
	r.must(err)
	return result
}

func (r *rig) inspect() deployer.TargetState {
	r.t.Helper()
	state, err := r.d.Inspect(r.t.Context(), deployer.InspectRequest{Target: r.target()})
	r.must(err)
	return state
}

func (r *rig) instance() *deployer.Instance {
	r.t.Helper()
	state := r.inspect()
	if len(state.Instances) != 1 {
		r.t.Fatalf("%d instances", len(state.Instances))
	}
	if why := state.Instances[0].Unreachable; why != "" {
		r.t.Fatal("unreachable: " + why)
	}
	return &state.Instances[0]
}

// deploy does all that a first deployment or an update does.
func (r *rig) deploy(rev deployer.Revision) {
	r.t.Helper()
	r.acquire()
	r.record(deployer.PhaseBegin, rev.RevisionInfo, "")
	r.prepare(rev)
	r.activate(rev.ID)
	r.record(deployer.PhaseEnd, rev.RevisionInfo, deployer.OutcomeSucceeded)
	r.release()
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		e := deployer.AsError(err)
		r.t.Fatalf("%s: %v\nadvice: %s\nlog:\n%s", e.Code, e, e.Advice, strings.Join(e.Log, "\n"))
	}
}

func quiet(deployer.Event) {}

// revision makes a revision of files, whose names end in / for directories and
// have a * for executables.
func revision(t *testing.T, id string, files map[string]string) deployer.Revision {
	t.Helper()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for name, text := range files {
		h := &tar.Header{Name: strings.TrimSuffix(name, "*"), Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "*") {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return revisionOf(t, id, plain.Bytes())
}

func revisionOf(t *testing.T, id string, plain []byte) deployer.Revision {
	t.Helper()
	packed := compress(t, plain)
	path := filepath.Join(t.TempDir(), "artifact.tar.zst")
	if err := os.WriteFile(path, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packed)
	return deployer.Revision{
		RevisionInfo: deployer.RevisionInfo{ID: id, ReleaseID: "app:" + id, Version: "1.0.0"},
		Artifact:     deployer.Artifact{MediaType: deployer.MediaTypeArchive, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(packed)), Path: path},
	}
}

func compress(t testing.TB, plain []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

// eventually waits for a condition by asking for it.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never: " + what)
		}
	}
}

func (r *rig) file(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.path, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *rig) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(r.path, name))
	return err == nil
}

func (r *rig) pidOf(name string) int {
	r.t.Helper()
	pid, _, _ := strings.Cut(r.file(filepath.Join(metaDir, "run", name)), " ")
	n, err := strconv.Atoi(pid)
	r.must(err)
	return n
}

func itoa(n int) string { return strconv.Itoa(n) }
