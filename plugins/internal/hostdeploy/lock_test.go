// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// fleet is this machine under the addresses of many, some of which are down.
type fleet struct{ down atomic.Pointer[string] }

func (f *fleet) Connect(ctx context.Context, address string) (Conn, error) {
	if down := f.down.Load(); down != nil && strings.Contains(*down, address) {
		return nil, deployer.Errorf(deployer.CodeUnreachable, "%s is down", address)
	}
	return locally{}.Connect(ctx, address)
}

func (f *fleet) Close() error { return nil }

// fleetRig deploys to the host a.
func fleetRig(t *testing.T) (*rig, *fleet) {
	t.Helper()
	f := &fleet{}
	d := New(SSH, "test")
	d.transport, d.directory = f, t.TempDir()
	return rigOf(t, d, "app-1", map[string]any{"hosts": map[string]string{"app-1": "a"}}), f
}

// fail takes hosts off the net.
func (r *rig) fail(f *fleet, addresses string) {
	f.down.Store(&addresses)
	for address, m := range r.d.machines {
		if strings.Contains(addresses, address) {
			m.mu.Lock()
			m.conn = nil
			m.mu.Unlock()
		}
	}
}

func (r *rig) acquireWith(previous *deployer.Target) error {
	lock, err := r.d.Acquire(r.t.Context(), deployer.AcquireRequest{Target: r.target(), Previous: previous, Operation: r.op, Owner: r.owner, Lease: time.Minute})
	r.token = lock.Token
	return err
}

func (r *rig) renew(previous *deployer.Target) error {
	return r.d.Renew(r.t.Context(), deployer.RenewRequest{Target: r.target(), Previous: previous, Token: r.token, Lease: time.Minute})
}

func TestOneHostDownDoesNotLoseTheLock(t *testing.T) {
	t.Parallel()
	r, f := fleetRig(t)
	r.config["path"], r.config["hosts"] = r.path+"-before", map[string]string{"app-1": "b"}
	before := r.target()
	r.config["path"], r.config["hosts"] = r.path, map[string]string{"app-1": "a"}
	r.must(r.acquireWith(&before))
	for _, down := range []string{"a", "b"} {
		r.fail(f, down)
		if err := r.renew(&before); err != nil {
			t.Errorf("with %s down: %v", down, err)
		}
	}
	r.fail(f, "a b")
	wantError(t, r.renew(&before), deployer.CodeUnreachable)
	r.fail(f, "a")
	// What somebody else took is lost, whatever else is down.
	other, _ := fleetRig(t)
	other.path, other.config["path"], other.config["hosts"] = r.path+"-before", r.path+"-before", map[string]string{"app-1": "b"}
	r.must(os.RemoveAll(other.path))
	other.acquire()
	wantError(t, r.renew(&before), deployer.CodeFenced)
}

func TestRenewAfterRemove(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
	r.acquire()
	r.remove()
	r.must(r.renew(nil))
	r.release()
}

// TestLocksOfAFormerDeployment lets the numbers begin again.
func TestLocksOfAFormerDeployment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.acquire()
	r.remove()
	former := r.token
	r.acquire()
	latter := r.token
	r.token = former
	wantError(t, r.renew(nil), deployer.CodeFenced)
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	r.prepareRaw(deployer.CodeFenced, rev)
	r.release()
	r.token = latter
	r.must(r.renew(nil))
	r.prepare(rev)
}

// TestOneDirectoryByTwoNames reaches a host by its old and its new name.
func TestOneDirectoryByTwoNames(t *testing.T) {
	t.Parallel()
	r, _ := fleetRig(t)
	before := r.target()
	rev := revision(t, "rev-1", map[string]string{"a": "1"})
	r.deploy(rev)
	r.config["hosts"] = map[string]string{"app-1": "a.example.com"}
	r.must(r.acquireWith(&before))
	r.must(r.renew(&before))
	m := r.mutation()
	m.Target = before
	result, err := r.d.Remove(t.Context(), deployer.RemoveRequest{Mutation: m}, quiet)
	r.must(err)
	if result.Changed || !r.exists("current/a") {
		t.Errorf("removed what is still wanted: %+v", result)
	}
	entry := deployer.Entry{Schema: 1, Phase: deployer.PhaseBegin, Operation: r.op, Owner: r.owner, Generation: 9, To: rev.RevisionInfo}
	lines := strings.Count(r.file(".delivery/ledger.jsonl"), "{\"schema")
	r.must(r.d.Record(t.Context(), deployer.RecordRequest{Target: r.target(), Previous: &before, Token: r.token, Entry: entry}))
	if n := strings.Count(r.file(".delivery/ledger.jsonl"), "{\"schema"); n != lines+1 {
		t.Errorf("%d entries more", n-lines)
	}
	r.must(r.d.Release(t.Context(), deployer.ReleaseRequest{Target: r.target(), Previous: &before, Token: r.token}))
	r.config["hosts"] = map[string]string{"app-1": "a", "app-2": "a.example.com"}
	wantError(t, r.acquireWith(nil), deployer.CodeInvalid, "same directory", "a.example.com")
	r.config["hosts"] = map[string]string{"app-1": "a"}
	r.acquire()
}

func TestHalfRemovedDeploymentsAreRepairedAndRemoved(t *testing.T) {
	t.Parallel()
	for _, lost := range [][]string{{"run"}, {"run", "log"}, {"locks"}, {"locks", "log", "owner"}} {
		t.Run(strings.Join(lost, " "), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			rev := revision(t, "rev-1", map[string]string{"a": "1"})
			r.deploy(rev)
			for _, name := range lost {
				r.must(os.RemoveAll(filepath.Join(r.path, metaDir, name)))
			}
			r.must(os.MkdirAll(filepath.Join(r.path, ".delivery-removed-1/log"), 0o700))
			r.acquire()
			r.activate("rev-1")
			r.must(os.RemoveAll(filepath.Join(r.path, metaDir, "run")))
			r.remove()
			if r.exists("") {
				t.Error(listing(t, r.path))
			}
		})
	}
}

func TestLeftoversOfUploadsGoWithTheNextLock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
	r.write("releases/.incoming-rev-2-x/big", "left")
	r.acquire()
	if r.exists("releases/.incoming-rev-2-x") || !r.exists("current/a") {
		t.Error(listing(t, r.path))
	}
}

// TestWhoLivedBeforeARebootIsDead gives the pid and the start of a holder to
// another boot of the machine.
func TestWhoLivedBeforeARebootIsDead(t *testing.T) {
	t.Parallel()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(boot) < 36 {
		return // not Linux
	}
	r := newRig(t)
	r.config["service"] = map[string]any{"command": "exec sleep 1000"}
	r.deploy(revision(t, "rev-1", map[string]string{"a": "1"}))
	r.acquire()
	number, _, _ := strings.Cut(strings.SplitN(r.token, `":"`, 2)[1], "-")
	child, supervisor := r.file(".delivery/run/child"), r.file(".delivery/run/supervisor")
	for _, name := range []string{"locks/" + number, "run/child", "run/supervisor"} {
		text := r.file(filepath.Join(metaDir, name))
		r.write(filepath.Join(metaDir, name), strings.Replace(text, string(boot[:36]), "00000000-0000-0000-0000-000000000000", 1))
	}
	if s := r.instance().Serving(); s == nil || s.Health != deployer.HealthStopped {
		t.Errorf("serving: %+v", s)
	}
	r.acquire()
	r.write(".delivery/run/child", child)
	r.write(".delivery/run/supervisor", supervisor)
	r.remove()
}
