// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// world is a platform in memory that can do everything, and does one thing
// wrong if it is told to.
type world struct {
	mu     sync.Mutex
	places map[string]*place
	defect string
}

// place is one target: two instances in two scopes.
type place struct {
	owner    string
	hosts    map[string]*host
	ledger   []deployer.Entry // oldest first
	lock     *deployer.Holder
	token    int
	expires  time.Time
	lastGood string
}

type host struct {
	serving, staged string
	kept            map[string]deployer.RevisionInfo
	order           []string // of kept, oldest first
	shares          map[string]int
}

type worldConfig struct {
	Place string `json:"place" delivery:"required,target"`
}

// platform is one process's view of the world.
type platform struct{ *world }

var ids = []string{"a", "b"}

func (w *world) at(t deployer.Target) *place {
	c, err := sdk.Decode[worldConfig](t.Config)
	if err != nil {
		panic(err)
	}
	name := c.Place + "/" + t.Deployment
	p := w.places[name]
	if p == nil {
		p = &place{hosts: map[string]*host{}}
		for _, id := range ids {
			p.hosts[id] = &host{kept: map[string]deployer.RevisionInfo{}}
		}
		w.places[name] = p
	}
	return p
}

// change admits a mutation.
func (w *world) change(m deployer.Mutation) (*place, *host, error) {
	p := w.at(m.Target)
	if err := w.fence(p, m.Token); err != nil {
		return nil, nil, err
	}
	if p.owner != "" && p.owner != m.Owner && w.defect != "owner" {
		return nil, nil, deployer.Errorf(deployer.CodeNotOwner, "it is %s's", p.owner)
	}
	return p, p.hosts[m.Instance], nil
}

func (w *world) fence(p *place, token string) error {
	if w.defect != "fencing" && (p.lock == nil || token != fmt.Sprint(p.token)) {
		return deployer.Errorf(deployer.CodeFenced, "token %s is old", token)
	}
	return nil
}

func (w platform) Describe(context.Context) (deployer.Description, error) {
	return deployer.Description{
		Name: "world", Version: "1", TargetSchema: sdk.SchemaOf[worldConfig](), ArtifactKinds: []string{deployer.MediaTypeArchive},
	}, nil
}

func (w platform) Validate(_ context.Context, req deployer.ValidateRequest) (deployer.Validation, error) {
	v := deployer.Validation{Diagnostics: sdk.Diagnose[worldConfig](req.Target.Config)}
	if w.defect == "diagnostics" {
		v.Diagnostics = nil
	}
	if c, _, err := sdk.DecodeUnknown[worldConfig](req.Target.Config); err == nil {
		for i, id := range ids {
			v.Instances = append(v.Instances, deployer.DesiredInstance{ID: id, Scope: "scope-" + id, Order: i, Place: c.Place + id})
		}
	}
	return v, nil
}

func (w platform) Inspect(_ context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := sdk.Decode[worldConfig](req.Target.Config)
	if err != nil {
		return deployer.TargetState{}, err
	}
	return w.at(req.Target).state(c.Place), nil
}

func (p *place) state(name string) deployer.TargetState {
	state := deployer.TargetState{Owner: p.owner}
	for _, e := range p.ledger {
		state.Generation = e.Generation
		if e.Phase == deployer.PhaseBegin {
			state.Unfinished = &e.Operation
			continue
		}
		state.Unfinished = nil
		if e.Outcome == deployer.OutcomeSucceeded {
			state.LastGood = &e.To
		} else {
			state.Failed = append(state.Failed, deployer.FailedRevision{Revision: e.To, Reason: e.Reason})
		}
	}
	for i, id := range ids {
		state.Instances = append(state.Instances, p.hosts[id].instance(p.owner, deployer.Instance{
			ID: id, Scope: "scope-" + id, Order: i, Place: name + id, Desired: true,
		}))
	}
	return state
}

func (h *host) instance(owner string, i deployer.Instance) deployer.Instance {
	for _, id := range h.order {
		s := deployer.Slot{Role: deployer.RoleRetired, Revision: h.kept[id], Share: h.shares[id]}
		switch id {
		case h.serving:
			s.Role, s.Health = deployer.RoleServing, deployer.HealthHealthy
			if h.shares == nil {
				s.Share = 1000
			}
		case h.staged:
			s.Role = deployer.RoleStaged
		}
		i.Slots = append(i.Slots, s)
	}
	if len(i.Slots) > 0 {
		i.Owner = owner
	}
	return i
}

func (w platform) Acquire(_ context.Context, req deployer.AcquireRequest) (deployer.Lock, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(req.Target)
	if p.lock != nil && time.Now().Before(p.expires) && w.defect != "lock" {
		e := deployer.Errorf(deployer.CodeLocked, "%s holds the lock", p.lock.Actor)
		if w.defect != "holder" {
			e.Holder = p.lock
		}
		return deployer.Lock{}, e
	}
	p.token++
	p.lock = &deployer.Holder{Actor: req.Operation.Actor, Operation: req.Operation}
	p.expires = time.Now().Add(req.Lease)
	c, err := sdk.Decode[worldConfig](req.Target.Config)
	if err != nil {
		return deployer.Lock{}, err
	}
	state := p.state(c.Place)
	if w.defect == "state" {
		state.LastGood = nil
	}
	return deployer.Lock{Token: fmt.Sprint(p.token), State: &state}, nil
}

func (w platform) Renew(_ context.Context, req deployer.RenewRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(req.Target)
	p.expires = time.Now().Add(req.Lease)
	return w.fence(p, req.Token)
}

func (w platform) Release(_ context.Context, req deployer.ReleaseRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.at(req.Target); req.Token == fmt.Sprint(p.token) {
		p.lock = nil
	}
	return nil
}

func (w platform) Prepare(_ context.Context, req deployer.PrepareRequest, _ deployer.EventSink) (deployer.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, h, err := w.change(req.Mutation)
	if err != nil {
		return deployer.Result{}, err
	}
	content, err := os.ReadFile(req.Revision.Artifact.Path)
	if err != nil {
		return deployer.Result{}, err
	}
	sum := sha256.Sum256(content)
	if "sha256:"+hex.EncodeToString(sum[:]) != req.Revision.Artifact.Digest && w.defect != "digest" {
		return deployer.Result{}, deployer.Errorf(deployer.CodeFailed, "the artifact is another one")
	}
	p.owner = req.Owner
	if _, ok := h.kept[req.Revision.ID]; !ok {
		h.order = append(h.order, req.Revision.ID)
	}
	h.kept[req.Revision.ID] = req.Revision.RevisionInfo
	if w.defect == "prepare" {
		h.serving = req.Revision.ID
	}
	return deployer.Result{Runs: h.serving}, nil
}

func (w platform) Stage(_ context.Context, req deployer.StageRequest, _ deployer.EventSink) (deployer.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, h, err := w.change(req.Mutation)
	if err == nil {
		h.staged = req.RevisionID
	}
	return deployer.Result{}, err
}

func (w platform) Activate(ctx context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	events(deployer.Event{Phase: "switch"})
	w.mu.Lock()
	defer w.mu.Unlock()
	_, h, err := w.change(req.Mutation)
	if err != nil {
		return deployer.Result{}, err
	}
	if ctx.Err() != nil {
		return deployer.Result{}, deployer.Errorf(deployer.CodeInterrupted, "cancelled before the switch")
	}
	if _, ok := h.kept[req.RevisionID]; !ok && w.defect != "unknown" {
		return deployer.Result{}, deployer.Errorf(deployer.CodeFailed, "%s is not here", req.RevisionID)
	}
	if w.defect != "lie" || h.serving == "" {
		h.serving = req.RevisionID
	}
	h.staged, h.shares = "", nil
	return deployer.Result{Runs: req.RevisionID}, nil
}

func (w platform) Retire(_ context.Context, req deployer.RetireRequest, _ deployer.EventSink) (deployer.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _, err := w.change(req.Mutation)
	return deployer.Result{}, err
}

func (w platform) Shift(_ context.Context, req deployer.ShiftRequest) (deployer.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at(req.Target).hosts[req.Scope[len("scope-"):]].shares = maps.Clone(req.Shares)
	return deployer.Result{}, nil
}

func (w platform) Remove(_ context.Context, req deployer.RemoveRequest, _ deployer.EventSink) (deployer.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, h, err := w.change(req.Mutation)
	if err != nil {
		return deployer.Result{}, err
	}
	if h.serving == "" && w.defect == "remove" {
		return deployer.Result{}, deployer.Errorf(deployer.CodeFailed, "there is nothing")
	}
	*h = host{kept: map[string]deployer.RevisionInfo{}}
	if !slices.ContainsFunc(ids, func(id string) bool { return len(p.hosts[id].kept) > 0 }) {
		p.owner = ""
	}
	return deployer.Result{Changed: true}, nil
}

func (w platform) Record(_ context.Context, req deployer.RecordRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(req.Target)
	if p.owner != "" && p.owner != req.Entry.Owner && w.defect != "owner" {
		return deployer.Errorf(deployer.CodeNotOwner, "it is %s's", p.owner)
	}
	p.owner = req.Entry.Owner
	if w.defect == "steps" {
		req.Entry.Steps = nil
	}
	p.ledger = append(p.ledger, req.Entry)
	if req.Entry.Outcome == deployer.OutcomeSucceeded {
		p.lastGood = req.Entry.To.ID
	}
	return nil
}

func (w platform) History(_ context.Context, req deployer.HistoryRequest) ([]deployer.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []deployer.Entry
	for _, e := range slices.Backward(w.at(req.Target).ledger) {
		if !e.Time.Before(req.Since) && (req.Limit == 0 || len(out) < req.Limit) {
			out = append(out, e)
		}
	}
	if w.defect == "history" {
		slices.Reverse(out)
	}
	return out, nil
}

func (w platform) Prune(_ context.Context, req deployer.PruneRequest) (deployer.PruneResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(req.Target)
	if err := w.fence(p, req.Token); err != nil {
		return deployer.PruneResult{}, err
	}
	for _, h := range p.hosts {
		for n, id := range slices.Clone(h.order) {
			old := req.Everything || n < len(h.order)-req.Keep
			if old && id != h.serving && (id != p.lastGood || w.defect == "prune") {
				delete(h.kept, id)
			}
		}
		h.order = slices.DeleteFunc(h.order, func(id string) bool { return h.kept[id].ID == "" })
	}
	if req.Everything {
		p.owner, p.ledger = "", nil
	}
	return deployer.PruneResult{}, nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (w platform) Run(ctx context.Context, req deployer.RunRequest, events deployer.EventSink) (deployer.RunResult, error) {
	w.mu.Lock()
	_, kept := w.at(req.Target).hosts[req.Instance].kept[req.RevisionID]
	w.mu.Unlock()
	if !kept {
		return deployer.RunResult{}, deployer.Errorf(deployer.CodeFailed, "%s is not here", req.RevisionID)
	}
	cmd := exec.CommandContext(ctx, req.Command[0], req.Command[1:]...)
	cmd.Env = os.Environ()
	for name, value := range req.Environment {
		if !variable.MatchString(name) && w.defect != "names" {
			return deployer.RunResult{}, deployer.Errorf(deployer.CodeInvalid, "%q is no name", name)
		}
		if w.defect != "environment" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	output, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return deployer.RunResult{}, err
	}
	result := deployer.RunResult{ExitCode: cmd.ProcessState.ExitCode()}
	for line := range strings.Lines(string(output)) {
		result.Log = append(result.Log, strings.TrimSuffix(line, "\n"))
		events(deployer.Event{Line: strings.TrimSuffix(line, "\n")})
	}
	return result, nil
}

// credulous takes every probe for passed.
type credulous struct{ platform }

func (credulous) Check(context.Context, deployer.CheckRequest) (deployer.CheckResult, error) {
	return deployer.CheckResult{Status: deployer.CheckPass}, nil
}
