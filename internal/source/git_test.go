// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package source_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/source"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

func open(t *testing.T, git source.Git, credentials ...source.Credentials) *source.Repository {
	t.Helper()
	r, err := source.OpenGit(t.Context(), git, credentials)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func heads(t *testing.T, r *source.Repository) source.Refs {
	t.Helper()
	refs, err := r.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func checkout(t *testing.T, r *source.Repository, commit string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkout")
	if err := r.Checkout(t.Context(), commit, dir); err != nil {
		t.Fatal(err)
	}
	return files(t, dir)
}

func wantKind(t *testing.T, err error, kind source.Kind, say string) {
	t.Helper()
	if source.KindOf(err) != kind || !strings.Contains(err.Error(), say) {
		t.Errorf("error is %q (%v), want %q with %q", source.KindOf(err), err, kind, say)
	}
}

// history is a repository with three commits, two tags and two branches.
func history(t *testing.T) (repo *testrig.GitRepo, one, two, three string) {
	t.Helper()
	repo = testrig.NewGitRepo(t)
	one = repo.Commit("first", map[string]string{"app.txt": "one", "services/api/main.py": "print(1)", "services/web/big.bin": strings.Repeat("x", 100_000)})
	repo.Tag("v1.0.0")
	two = repo.Commit("second\n\nwith a body", map[string]string{"app.txt": "two", "run.sh": "#!/bin/sh\n"})
	repo.Tag("nightly")
	repo.Branch("feature/x")
	three = repo.Commit("third", map[string]string{"app.txt": "three"})
	return repo, one, two, three
}

func TestRefsResolveToCommits(t *testing.T) {
	t.Parallel()
	repo, one, two, three := history(t)
	refs := heads(t, open(t, source.Git{URL: repo.Dir}))
	for ref, want := range map[string]struct {
		commit string
		kind   source.RefKind
	}{
		"main": {two, source.RefBranch}, "feature/x": {three, source.RefBranch}, "v1.0.0": {one, source.RefTag},
		"refs/heads/main": {two, source.RefBranch}, "refs/tags/nightly": {two, source.RefTag}, one: {one, source.RefCommit},
	} {
		commit, kind, err := refs.Resolve(ref)
		if err != nil || commit != want.commit || kind != want.kind {
			t.Errorf("%s is %s %s (%v), want %s %s", ref, kind, commit, err, want.kind, want.commit)
		}
		data, err := json.Marshal(refs.For(ref))
		if err != nil {
			t.Fatal(err)
		}
		var small source.Refs
		if err := json.Unmarshal(data, &small); err != nil {
			t.Fatal(err)
		}
		if again, _, err := small.Resolve(ref); err != nil || again != want.commit || small.Digest() != refs.Digest() || len(data) > 400 {
			t.Errorf("what is kept of %s: %s, %v", ref, data, err)
		}
	}
	for ref, want := range map[string]struct {
		kind source.Kind
		say  string
	}{
		"mian": {source.NoSuchRef, "Its branches are feature/x, main"}, one[:8]: {source.NoSuchRef, "which may be " + one},
		"HEAD": {source.NoSuchRef, "Name the branch"}, "-x": {source.Invalid, "cannot be a reference"},
		"a..b": {source.Invalid, "cannot be a reference"}, "refs/heads/v1.0.0": {source.NoSuchRef, "no branch"},
	} {
		_, _, err := refs.Resolve(ref)
		wantKind(t, err, want.kind, want.say)
	}
}

func TestANameOfABranchAndATagIsRefused(t *testing.T) {
	t.Parallel()
	repo, _, _, _ := history(t)
	before := heads(t, open(t, source.Git{URL: repo.Dir})).Digest()
	repo.Git("tag", "main", "v1.0.0")
	refs := heads(t, open(t, source.Git{URL: repo.Dir}))
	_, _, err := refs.Resolve("main")
	wantKind(t, err, source.Invalid, "refs/heads/main or refs/tags/main")
	if refs.Digest() == before {
		t.Error("a new tag did not change the digest")
	}
}

func TestCommitsAreDescribedByVersionTags(t *testing.T) {
	t.Parallel()
	repo, one, two, three := history(t)
	r := open(t, source.Git{URL: repo.Dir})
	refs := heads(t, r)
	for commit, want := range map[string]source.Description{
		one: {Tag: "v1.0.0", Exact: true}, two: {Tag: "v1.0.0", Distance: 1}, three: {Tag: "v1.0.0", Distance: 2},
	} {
		if got, err := r.Describe(t.Context(), commit, refs); err != nil || got != want {
			t.Errorf("%.8s: %+v, %v; want %+v", commit, got, err, want)
		}
	}
	without := source.Refs{Branches: refs.Branches}
	if got, err := r.Describe(t.Context(), three, without); err != nil || got != (source.Description{Distance: 3}) {
		t.Errorf("without tags: %+v, %v", got, err)
	}
}

func TestTheNearestTagCountsNotTheHighest(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	repo.Commit("base", nil)
	repo.Branch("old")
	repo.Commit("a fix of the old line", nil)
	repo.Tag("v1.9.0")
	repo.Checkout("main")
	repo.Commit("new", nil)
	repo.Tag("v2.0.0")
	repo.Tag("v2.0.0-rc.1") // not a version of its own
	repo.Git("tag", "v1.99.0")
	repo.Commit("newer", nil)
	repo.Git("merge", "--quiet", "--no-edit", "old")
	r := open(t, source.Git{URL: repo.Dir})
	got, err := r.Describe(t.Context(), repo.Head(), heads(t, r))
	if err != nil || got.Tag != "v2.0.0" || got.Distance != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheLogListsWhatIsNew(t *testing.T) {
	t.Parallel()
	repo, one, two, three := history(t)
	repo.Git("checkout", "--quiet", "--orphan", "other")
	unrelated := repo.Commit("unrelated", nil)
	r := open(t, source.Git{URL: repo.Dir})
	for _, c := range []struct{ from, to, want string }{
		{one, three, "third second"}, {two, two, ""}, {"", three, "third second first"}, {three, one, ""},
		{strings.Repeat("0", 40), three, "third second first"}, {unrelated, two, "second first"}, {"rubbish", one, "first"},
	} {
		commits, err := r.Log(t.Context(), c.from, c.to, 10)
		var subjects []string
		for _, commit := range commits {
			subjects = append(subjects, commit.Subject)
		}
		if got := strings.Join(subjects, " "); err != nil || got != c.want {
			t.Errorf("%.8s..%.8s: %q, %v; want %q", c.from, c.to, got, err, c.want)
		}
	}
	commits, err := r.Log(t.Context(), "", three, 1)
	if err != nil || len(commits) != 1 || commits[0].SHA != three || commits[0].Author != "Ada Tester" || commits[0].Time.Year() != 2026 {
		t.Errorf("%+v, %v", commits, err)
	}
}

func TestACheckoutHasTheCommitsFilesOnly(t *testing.T) {
	t.Parallel()
	repo, one, two, three := history(t)
	r := open(t, source.Git{URL: "file://" + repo.Dir})
	if _, err := r.Describe(t.Context(), three, heads(t, r)); err != nil { // history first must not harm
		t.Fatal(err)
	}
	for commit, want := range map[string]string{one: "one", two: "two", three: "three"} {
		got := checkout(t, r, commit)
		if got["app.txt"] != want || len(got["services/web/big.bin"]) != 100_000 {
			t.Errorf("%.8s: app.txt is %q", commit, got["app.txt"])
		}
		for name := range got {
			if strings.HasPrefix(name, ".git/") {
				t.Errorf("%s was written", name)
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "x")
	if err := r.Checkout(t.Context(), two, dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "run.sh")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("run.sh: %v, %v", info, err)
	}
	wantKind(t, r.Checkout(t.Context(), two, dir), source.Failed, "not empty")
	wantKind(t, r.Checkout(t.Context(), strings.Repeat("a", 40), t.TempDir()), source.NoSuchRef, "aaaa")
}

func TestManyCheckoutsAtOnce(t *testing.T) {
	t.Parallel()
	repo, _, _, three := history(t)
	r := open(t, source.Git{URL: repo.Dir})
	base := t.TempDir()
	errs := make(chan error, 6)
	for i := range cap(errs) {
		go func() { errs <- r.Checkout(t.Context(), three, filepath.Join(base, string(rune('a'+i)))) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestASubPathBringsItsFilesOnly(t *testing.T) {
	t.Parallel()
	repo, one, _, _ := history(t)
	server := testrig.NewGitServer(t, "")
	r := open(t, source.Git{URL: server.Serve(repo, "shop.git"), Path: "services/api"})
	if got := checkout(t, r, one); len(got) != 1 || got["main.py"] != "print(1)" {
		t.Errorf("%v", got)
	}
	for _, bad := range []string{"services/nope", "app.txt"} {
		r := open(t, source.Git{URL: repo.Dir, Path: bad})
		wantKind(t, r.Checkout(t.Context(), one, t.TempDir()), source.NotFound, bad)
	}
	for _, bad := range []string{"../x", "/etc", "a/../b", "a\nb"} {
		_, err := source.OpenGit(t.Context(), source.Git{URL: repo.Dir, Path: bad}, nil)
		wantKind(t, err, source.Invalid, "path")
	}
}

func TestAServerThatServesBranchesOnly(t *testing.T) {
	t.Parallel()
	repo, one, _, _ := history(t)
	// No smart server at all: files over HTTP, no partial and no shallow fetch.
	repo.Git("update-server-info")
	server := dumb(t, filepath.Join(repo.Dir, ".git"))
	r := open(t, source.Git{URL: server})
	refs := heads(t, r)
	if got := checkout(t, r, one); got["app.txt"] != "one" {
		t.Errorf("%v", got)
	}
	if got, err := r.Describe(t.Context(), refs.Branches["main"], refs); err != nil || got.Distance != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCancellingStopsGit(t *testing.T) {
	t.Parallel()
	repo, _, _, _ := history(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := open(t, source.Git{URL: repo.Dir})
	cancel()
	if _, err := r.Heads(ctx); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error is %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	repo := testrig.NewGitRepo(t)
	commit := repo.Commit("first", map[string]string{"a": "b"})
	r, err := source.OpenGit(t.Context(), source.Git{URL: repo.Dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Checkout(t.Context(), commit, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for url, want := range map[string]source.Kind{
		empty: source.NotFound, "file:///no/such/place": source.NotFound, "http://127.0.0.1:1/x.git": source.Unreachable,
		"git://127.0.0.1:1/x.git": source.Unreachable,
	} {
		_, err := open(t, source.Git{URL: url}).Heads(t.Context())
		wantKind(t, err, want, url)
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	t.Parallel()
	repo := testrig.NewGitRepo(t)
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0", 64) + "\nsize 12345\n"
	fixture := repo.Commit("a fixture that only looks like one", map[string]string{"testdata/pointer": pointer})
	used := repo.Commit("use it", map[string]string{".gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n", "logo.png": pointer})
	repo.Remove("testdata/pointer")
	r := open(t, source.Git{URL: repo.Dir})
	if err := r.Checkout(t.Context(), fixture, t.TempDir()); err != nil {
		t.Error(err)
	}
	wantKind(t, r.Checkout(t.Context(), used, t.TempDir()), source.LargeFiles, "Git LFS")
}
