// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func wantError(t *testing.T, err error, code deployer.Code, parts ...string) *deployer.Error {
	t.Helper()
	e := deployer.AsError(err)
	if e == nil {
		t.Fatalf("no error, want %s", code)
	}
	text := e.Error() + "\n" + e.Advice + "\n" + strings.Join(e.Log, "\n")
	if e.Code != code {
		t.Errorf("code %s, want %s: %s", e.Code, code, text)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("the error lacks %q:\n%s", p, text)
		}
	}
	return e
}

func TestBlockedPaths(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"a file":            func(p string) error { return os.WriteFile(p, []byte("mine"), 0o600) },
		"current directory": func(p string) error { return os.MkdirAll(p+"/current/data", 0o755) },
		"a file for ours": func(p string) error {
			return os.WriteFile(mkdir(p)+"/.delivery", []byte("mine"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.must(make(r.path))
			before := listing(t, r.path)
			_, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
			wantError(t, err, deployer.CodeRefused, r.path, "left as it is")
			if after := listing(t, r.path); after != before {
				t.Errorf("changed from\n%s\nto\n%s", before, after)
			}
			r.inspect()
		})
	}
}

func mkdir(path string) string {
	_ = os.MkdirAll(path, 0o755)
	return path
}

func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	_ = filepath.Walk(root, func(p string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, p, info.Mode())
		}
		return nil
	})
	return b.String()
}

func TestLock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.acquire()
	first := r.token
	other := rigOf(t, newRig(t).d, localHost, map[string]any{})
	other.path, other.config["path"] = r.path, r.path
	_, err := other.d.Acquire(t.Context(), deployer.AcquireRequest{Target: other.target(), Operation: r.op, Owner: "owner-2", Lease: time.Minute})
	if e := wantError(t, err, deployer.CodeLocked, "tester"); e.Holder == nil || e.Holder.Operation.ID != "op-1" {
		t.Errorf("holder: %+v", e.Holder)
	}
	r.release()
	other.op.Actor = "somebody else"
	other.acquire()
	_, err = r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: "rev-1"}, quiet)
	wantError(t, err, deployer.CodeFailed, "not here")
	r.prepareRaw(deployer.CodeFenced, revision(t, "rev-1", map[string]string{"a": "b"}))
	r.must(r.d.Release(t.Context(), deployer.ReleaseRequest{Target: r.target(), Token: first}))
	wantError(t, r.d.Renew(t.Context(), deployer.RenewRequest{Target: r.target(), Token: first, Lease: time.Minute}), deployer.CodeFenced)
	other.must(other.d.Renew(t.Context(), deployer.RenewRequest{Target: other.target(), Token: other.token, Lease: time.Minute}))
	other.release()
}

func (r *rig) prepareRaw(code deployer.Code, rev deployer.Revision) *deployer.Error {
	r.t.Helper()
	_, err := r.d.Prepare(r.t.Context(), deployer.PrepareRequest{Mutation: r.mutation(), Revision: rev}, quiet)
	return wantError(r.t, err, code)
}

// TestOneOfManyGetsTheLock races for a lock that nobody holds.
func TestOneOfManyGetsTheLock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const many = 8
	var wg sync.WaitGroup
	got := make([]string, many)
	for n := range many {
		wg.Go(func() {
			lock, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
			if err == nil {
				got[n] = lock.Token
			}
		})
	}
	wg.Wait()
	var winners []string
	for _, g := range got {
		if g != "" {
			winners = append(winners, g)
		}
	}
	if len(winners) != 1 {
		t.Errorf("winners: %v", winners)
	}
}

func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lock, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Second})
	r.must(err)
	r.token = lock.Token
	rev := revision(t, "rev-1", map[string]string{"a": "b"})
	eventually(t, "the lease ends", func() bool {
		next, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
		if err != nil {
			wantError(t, err, deployer.CodeLocked)
			return false
		}
		r.prepareRaw(deployer.CodeFenced, rev)
		r.token = next.Token
		return true
	})
	r.prepare(rev)
}

func TestForeignOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rev := revision(t, "rev-1", map[string]string{"a": "b"})
	r.deploy(rev)
	r.owner, r.op.ID = "owner-2", "op-2"
	r.acquire()
	_, err := r.d.Activate(t.Context(), deployer.ActivateRequest{Mutation: r.mutation(), RevisionID: "rev-1"}, quiet)
	wantError(t, err, deployer.CodeNotOwner, "app:rev-1", "tester", "create op-1")
	_, err = r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	wantError(t, err, deployer.CodeNotOwner)
	entry := deployer.Entry{Schema: 1, Phase: deployer.PhaseBegin, Operation: r.op, Owner: r.owner, Generation: 9, To: rev.RevisionInfo}
	err = r.d.Record(t.Context(), deployer.RecordRequest{Target: r.target(), Token: r.token, Entry: entry})
	wantError(t, err, deployer.CodeNotOwner)
	if state := r.inspect(); state.Owner != "owner-1" || state.Instances[0].Serving().Revision.ID != "rev-1" {
		t.Errorf("state: %+v", state)
	}
	entry.Operation.Kind = deployer.OperationAdopt
	r.must(r.d.Record(t.Context(), deployer.RecordRequest{Target: r.target(), Token: r.token, Entry: entry}))
	if state := r.inspect(); state.Owner != "owner-2" || state.Unfinished == nil || state.Generation != 9 {
		t.Errorf("state: %+v", state)
	}
}

func TestRecordIsIdempotentAndRefusesWhatIsStale(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.acquire()
	entry := deployer.Entry{Schema: 1, Phase: deployer.PhaseBegin, Operation: r.op, Owner: r.owner, Generation: 1, Time: time.Unix(1e9, 0).UTC(), To: deployer.RevisionInfo{ID: "rev-1", ReleaseID: "größe:1"}}
	record := func() error {
		return r.d.Record(t.Context(), deployer.RecordRequest{Target: r.target(), Token: r.token, Entry: entry})
	}
	r.must(record())
	r.must(record())
	entries, err := r.d.History(t.Context(), deployer.HistoryRequest{Target: r.target()})
	r.must(err)
	if len(entries) != 1 || entries[0].To.ReleaseID != "größe:1" {
		t.Errorf("entries: %+v", entries)
	}
	entry.Operation.ID = "another"
	wantError(t, record(), deployer.CodeFenced, "generation 1")
	// A torn line does no harm.
	f, err := os.OpenFile(filepath.Join(r.path, metaDir, "ledger.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	r.must(err)
	_, err = f.WriteString(`{"schema":1,"phase":"be`)
	r.must(err)
	r.must(f.Close())
	entry.Generation, entry.Phase, entry.Outcome = 2, deployer.PhaseEnd, deployer.OutcomeFailed
	r.must(record())
	state := r.inspect()
	if len(state.Failed) != 1 || state.Generation != 2 || state.LastGood != nil {
		t.Errorf("state: %+v", state)
	}
}

func TestInstallAndSharedPaths(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["shared"] = []string{"uploads", "var/data", "app.db"}
	r.config["install"] = []string{"echo building; pwd >built; echo $TOKEN", `test "$TOKEN" = s3cr3t-value || exit 7`}
	rev := revision(t, "rev-1", map[string]string{"uploads/first": "1", "app.db": "seed", "x": ""})
	rev.Secrets = map[string]string{"TOKEN": "s3cr3t-value"}
	var mu sync.Mutex
	var lines []string
	r.acquire()
	_, err := r.d.Prepare(t.Context(), deployer.PrepareRequest{Mutation: r.mutation(), Revision: rev}, func(e deployer.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Line != "" {
			lines = append(lines, e.Line)
		}
	})
	r.must(err)
	if got := strings.Join(lines, "|"); got != "building|(sensitive)" {
		t.Errorf("output %q", got)
	}
	if got := strings.TrimSpace(r.file("releases/rev-1/built")); got != r.path+"/releases/rev-1" {
		t.Errorf("built in %q", got)
	}
	if got := r.file("shared/uploads/first") + r.file("releases/rev-1/app.db"); got != "1seed" {
		t.Errorf("shared: %q", got)
	}
	r.must(os.WriteFile(filepath.Join(r.path, "releases/rev-1/app.db"), []byte("written by users"), 0o600))
	r.must(os.WriteFile(filepath.Join(r.path, "releases/rev-1/var/data/more"), []byte("too"), 0o600))
	two := revision(t, "rev-2", map[string]string{"uploads/second": "2", "app.db": "seed"})
	two.Secrets = rev.Secrets
	r.prepare(two)
	if got := r.file("releases/rev-2/app.db") + r.file("releases/rev-2/var/data/more") + r.file("releases/rev-2/uploads/first"); got != "written by userstoo1" {
		t.Errorf("shared after the second: %q", got)
	}
	three := revision(t, "rev-3", map[string]string{"x": ""})
	three.Secrets = map[string]string{"TOKEN": "another-value"}
	e := r.prepareRaw(deployer.CodeFailed, three)
	if e.Step != "install" || !strings.Contains(e.Message, "status 7") || strings.Contains(strings.Join(e.Log, ""), "another-value") {
		t.Errorf("error: %+v", e)
	}
	if r.exists("releases/rev-3") {
		t.Error("the failed release is still there")
	}
	r.config["install"] = []string{"echo slow; sleep 1000"}
	r.config["install_timeout"] = "1s"
	e = r.prepareRaw(deployer.CodeFailed, three)
	if !strings.Contains(e.Message, "did not end within 1s") {
		t.Errorf("error: %+v", e)
	}
	_, err = r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: r.mutation()}, quiet)
	r.must(err)
	if r.exists(".delivery") || r.exists("releases") || !r.exists("shared/app.db") {
		t.Error(listing(t, r.path))
	}
}

func TestCancelledInstallEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["install"] = []string{"echo $$ >../../pid; exec sleep 1000"}
	r.acquire()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		eventuallyFile(ctx, filepath.Join(r.path, "pid"))
		cancel()
	}()
	_, err := r.d.Prepare(ctx, deployer.PrepareRequest{Mutation: r.mutation(), Revision: revision(t, "rev-1", map[string]string{"a": "b"})}, quiet)
	wantError(t, err, deployer.CodeInterrupted)
	pid := 0
	_, err = fmt.Sscan(r.file("pid"), &pid)
	r.must(err)
	eventually(t, "the command has ended and its release is gone", func() bool { return !alivePid(pid) && !r.exists("releases/rev-1") })
}

func eventuallyFile(ctx context.Context, path string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 || ctx.Err() != nil {
			return
		}
		<-tick.C
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n := range 4 {
		r.op.ID = fmt.Sprint("op-", n)
		r.deploy(revision(t, fmt.Sprint("rev-", n), map[string]string{"a": "1"}))
		old := time.Now().Add(time.Duration(n-10) * time.Minute)
		r.must(os.Chtimes(filepath.Join(r.path, fmt.Sprintf("releases/rev-%d/.delivery/complete", n)), old, old))
	}
	r.acquire()
	r.activate("rev-0")
	r.must(os.MkdirAll(filepath.Join(r.path, "releases/.incoming-left"), 0o755))
	result, err := r.d.Prune(t.Context(), deployer.PruneRequest{Target: r.target(), Owner: r.owner, Token: r.token, Keep: 1})
	r.must(err)
	if got := strings.Join(result.Removed[localHost], " "); got != "rev-2 rev-1" {
		t.Errorf("removed %q", got) // rev-0 serves, rev-3 is last good and newest
	}
	if r.exists("releases/.incoming-left") || !r.exists("releases/rev-0/a") || !r.exists("releases/rev-3/a") {
		t.Error(listing(t, r.path))
	}
}

func TestEverythingOfAFailedBeginningGoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.acquire()
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	r.record(deployer.PhaseBegin, rev.RevisionInfo, "")
	r.prepare(rev)
	_, err := r.d.Prune(t.Context(), deployer.PruneRequest{Target: r.target(), Owner: r.owner, Token: r.token, Everything: true})
	r.must(err)
	r.release()
	if _, err := os.Stat(r.path); !os.IsNotExist(err) {
		t.Error(listing(t, r.path))
	}
}

func TestBadArtifacts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.acquire()
	good := revision(t, "rev-1", map[string]string{"a": "1"})
	changed := good
	changed.Artifact.Digest = "sha256:" + strings.Repeat("0", 64)
	e := r.prepareRaw(deployer.CodeFailed, changed)
	if !strings.Contains(e.Message, "changed after") {
		t.Error(e.Message)
	}
	for name, headers := range map[string][]tar.Header{
		"outside":         {{Name: "../x", Typeflag: tar.TypeReg}},
		"absolute":        {{Name: "/etc/x", Typeflag: tar.TypeReg}},
		"ours":            {{Name: ".delivery/start", Typeflag: tar.TypeReg}},
		"link outside":    {{Name: "l", Linkname: "../../x", Typeflag: tar.TypeSymlink}},
		"through a link":  {{Name: "l", Linkname: "d", Typeflag: tar.TypeSymlink}, {Name: "l/x", Typeflag: tar.TypeReg}},
		"device":          {{Name: "d", Typeflag: tar.TypeChar}},
		"hard link ahead": {{Name: "h", Linkname: "later", Typeflag: tar.TypeLink}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			r.must(w.WriteHeader(&h))
		}
		r.must(w.Close())
		e := r.prepareRaw(deployer.CodeFailed, revisionOf(t, "rev-1", b.Bytes()))
		if !strings.Contains(e.Message, "artifact is not good") {
			t.Errorf("%s: %s", name, e.Message)
		}
	}
	odd := good
	odd.Environment = map[string]string{"a.b": "c"}
	r.prepareRaw(deployer.CodeInvalid, odd)
	if got := listing(t, filepath.Join(r.path, "releases")); strings.Contains(got, "rev-1") {
		t.Error(got)
	}
	r.prepare(good)
}

func TestRunAndLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["service"] = map[string]any{"command": "echo the key is \"$KEY\"; exec sleep 1000"}
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	rev.Secrets = map[string]string{"KEY": "line one\nline two"}
	r.deploy(rev)
	var lines []string
	eventually(t, "the log is there", func() bool {
		lines = nil
		r.must(r.d.Logs(t.Context(), deployer.LogsRequest{Target: r.target(), Instance: r.id, Lines: 10}, func(l string) error {
			lines = append(lines, l)
			return nil
		}))
		return len(lines) == 3 && strings.HasPrefix(lines[0], startMark)
	})
	if got := strings.Join(lines, "|"); !strings.HasSuffix(got, "the key is (sensitive)|(sensitive)") {
		t.Errorf("log %q", got)
	}
	run := func(timeout time.Duration, command ...string) (deployer.RunResult, error) {
		return r.d.Run(t.Context(), deployer.RunRequest{Mutation: r.mutation(), RevisionID: "rev-1", Command: command, Timeout: timeout}, quiet)
	}
	got, err := run(0, "sh", "-c", `printf '%s;' "$@"; cat a; echo "$KEY"; exit 5`, "x", "it's", "two\nlines", "")
	r.must(err)
	if got.ExitCode != 5 || strings.Join(got.Log, "|") != "it's;two|lines;;1(sensitive)|(sensitive)" {
		t.Errorf("run: %+v", got)
	}
	_, err = run(time.Second, "sleep", "1000")
	wantError(t, err, deployer.CodeFailed, "did not end within 1s")
	stop := fmt.Errorf("enough")
	err = r.d.Logs(t.Context(), deployer.LogsRequest{Target: r.target(), Instance: r.id, Lines: 1, Follow: true}, func(string) error { return stop })
	if err != stop { //nolint:errorlint // it is handed through
		t.Errorf("follow: %v", err)
	}
}

func TestNoRightToWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["path"] = "/proc/nowhere/app" // where not even root may
	_, err := r.d.Acquire(t.Context(), deployer.AcquireRequest{Target: r.target(), Operation: r.op, Owner: r.owner, Lease: time.Minute})
	wantError(t, err, deployer.CodeRefused, "cannot create /proc/nowhere/app", "as ", "Create /proc/nowhere/app")
}
