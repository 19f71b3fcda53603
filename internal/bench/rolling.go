// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/archive"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	rollFleet    = 100
	rollParallel = 10
	// rollKeep is how many revisions a host keeps, so that every update removes
	// the one before.
	rollKeep = 1
	// rollMost is how many times as long as the steps by hand the engine may take.
	rollMost = 1.3
)

const (
	rollByHand   = "the same steps by hand"
	rollByEngine = "the rollout engine"
)

// rolling measures what the engine itself costs: updates of a large fleet, some
// hosts at a time, with the same calls of the same running deployer.
func (s *stage) rolling(ctx context.Context, o options) (tables []table, err error) {
	title := fmt.Sprintf("Rolling over %d hosts, %d at a time", rollFleet, rollParallel)
	if !o.scenarios.MatchString(title) || !o.tools.MatchString(oursName) {
		return nil, nil
	}
	fmt.Fprintf(os.Stderr, "bench: %s: the first deployment\n", title)
	host, u, err := s.fleet(ctx)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	rows := []row{{what: rollByHand}, {what: rollByEngine}}
	for n := range o.runs {
		fmt.Fprintf(os.Stderr, "bench: %s: run %d of %d\n", title, n+1, o.runs)
		var took [2]sample
		if took[0], took[1], err = u.both(ctx, n%2 == 1); err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i].got = append(rows[i].got, took[i])
		}
	}
	return []table{{title: title, rows: rows, reference: rollByHand, broken: judgeRolling(rows[0].got, rows[1].got)}}, nil
}

func judgeRolling(byHand, engine series) []string {
	if times := float64(engine.median()) / float64(byHand.median()); times > rollMost {
		return []string{fmt.Sprintf("the engine took %.2f times the same steps by hand; %.1f was promised", times, rollMost)}
	}
	return nil
}

// fleet makes the hosts, starts the deployer as the provider does, and brings a
// first revision to all hosts. Then it makes one update in each way, which is
// not counted.
func (s *stage) fleet(ctx context.Context) (host *pluginhost.Host, u *updates, err error) {
	reached := direct(testrig.NewFleet(s.rig, rollFleet, testrig.Space(diskSize)))
	connection, err := json.Marshal(map[string]string{
		"user": reached.user, "private_key_file": reached.keyFile, "known_hosts_file": reached.knownHosts,
	})
	if err != nil {
		return nil, nil, err
	}
	addresses := map[string]string{}
	for _, h := range reached.all {
		addresses[h.name] = h.address()
	}
	config, err := json.Marshal(map[string]any{"hosts": addresses, "path": "/srv/app", "keep_releases": rollKeep})
	if err != nil {
		return nil, nil, err
	}
	artifact, err := tinyArtifact(ctx, s.rig.TempDir())
	if err != nil {
		return nil, nil, err
	}
	host = pluginhost.New(pluginhost.Options{
		Directories: []string{testrig.Plugins(s.rig)},
		Connections: map[string]json.RawMessage{"ssh": connection},
	})
	defer func() {
		if err != nil {
			host.Close()
		}
	}()
	d, err := host.Deployer(ctx, "ssh")
	if err != nil {
		return nil, nil, err
	}
	u, err = newUpdates(ctx, d, deployer.Target{Environment: "bench", Deployment: "app", Config: config}, artifact)
	if err != nil {
		return nil, nil, err
	}
	if _, _, err = u.timed(ctx, deployer.OperationCreate, byEngine); err == nil {
		_, _, err = u.both(ctx, false)
	}
	return host, u, err
}

// tinyArtifact is a release of one small file.
func tinyArtifact(ctx context.Context, dir string) (deployer.Artifact, error) {
	root, path := filepath.Join(dir, "release"), filepath.Join(dir, "release.tar.zst")
	if err := writeNew(filepath.Join(root, "index.html"), []byte("<p>Hello.</p>\n")); err != nil {
		return deployer.Artifact{}, err
	}
	file, err := os.Create(path)
	if err != nil {
		return deployer.Artifact{}, err
	}
	summary, err := archive.Write(ctx, file, root, archive.Selection{})
	return deployer.Artifact{
		MediaType: deployer.MediaTypeArchive, Digest: summary.Digest, Size: summary.Size, Path: path,
	}, errors.Join(err, file.Close())
}

// updates are those of one deployment, one after the other, each to a revision
// that no instance has yet.
type updates struct {
	deployer    deployer.Deployer
	description deployer.Description
	target      deployer.Target
	desired     []deployer.DesiredInstance
	artifact    deployer.Artifact
	begun       int
	generation  int64
}

func newUpdates(ctx context.Context, d deployer.Deployer, target deployer.Target, artifact deployer.Artifact) (*updates, error) {
	description, err := d.Describe(ctx)
	if err != nil {
		return nil, err
	}
	validation, err := d.Validate(ctx, deployer.ValidateRequest{Target: target})
	if err != nil {
		return nil, err
	}
	for _, found := range validation.Diagnostics {
		if !found.Warning {
			return nil, errors.New(found.Summary + ": " + found.Detail)
		}
	}
	return &updates{deployer: d, description: description, target: target, desired: validation.Instances, artifact: artifact}, nil
}

// way is a way to carry a plan out. It notes its calls and returns the
// generation that it recorded last.
type way func(ctx context.Context, u *updates, plan rollout.Plan, calls *tally) (int64, error)

// byEngine leaves it to the rollout engine.
func byEngine(ctx context.Context, u *updates, plan rollout.Plan, calls *tally) (int64, error) {
	engine := rollout.Engine{Deployer: u.deployer, Description: u.description, Observe: calls.observe}
	outcome, err := engine.Roll(ctx, plan)
	return outcome.Generation, err
}

// both makes an update in each way, and makes sure that both did the same.
func (u *updates) both(ctx context.Context, engineFirst bool) (hand, engine sample, err error) {
	ways := []way{byHand, byEngine}
	took, calls := make([]sample, len(ways)), make([]map[rollout.Step]int, len(ways))
	for turn := range ways {
		i := turn
		if engineFirst {
			i = len(ways) - 1 - turn
		}
		if took[i], calls[i], err = u.timed(ctx, deployer.OperationUpdate, ways[i]); err != nil {
			return sample{}, sample{}, err
		}
	}
	if !maps.Equal(calls[0], calls[1]) {
		return sample{}, sample{}, fmt.Errorf("the ways cannot be compared: by hand these calls were made: %v; by the engine these: %v", calls[0], calls[1])
	}
	return took[0], took[1], nil
}

// timed makes one update and looks whether it arrived, which is not timed.
func (u *updates) timed(ctx context.Context, kind string, carryOut way) (took sample, calls map[rollout.Step]int, err error) {
	bounded, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	plan, made := u.plan(kind), &tally{calls: map[rollout.Step]int{}}
	settle()
	everything, own, started := treeTime(), ownTime(), time.Now()
	u.generation, err = carryOut(bounded, u, plan, made)
	took = sample{wall: time.Since(started)}
	took.tool, took.all = ownTime()-own, treeTime()-everything
	if err == nil {
		err = u.arrived(bounded, plan.Revision.ID)
	}
	if err != nil {
		return sample{}, nil, fmt.Errorf("update number %d: %w", u.begun, err)
	}
	return took, made.calls, nil
}

// plan is that of the next update.
func (u *updates) plan(kind string) rollout.Plan {
	u.begun++
	version := fmt.Sprintf("1.0.%d", u.begun)
	return rollout.Plan{
		Operation: deployer.Operation{ID: "bench-" + version, Kind: kind, Actor: "bench", Started: time.Now().UTC()},
		Target:    u.target,
		Owner:     "bench",
		Revision: deployer.Revision{RevisionInfo: deployer.RevisionInfo{
			ID: version, ReleaseID: "tiny:" + version, Version: version, ArtifactDigest: u.artifact.Digest, Config: json.RawMessage("{}"),
		}},
		Generation: u.generation,
		Artifact:   func(context.Context) (deployer.Artifact, error) { return u.artifact, nil },
		Desired:    u.desired,
		Strategy:   rollout.Rolling{MaxParallel: rollout.Count(rollParallel)},
		Keep:       rollKeep,
	}
}

// arrived says whether a revision serves everywhere.
func (u *updates) arrived(ctx context.Context, revision string) error {
	state, err := u.deployer.Inspect(ctx, deployer.InspectRequest{Target: u.target})
	if err != nil {
		return err
	}
	serving := 0
	for n := range state.Instances {
		if slot := state.Instances[n].Serving(); slot != nil && slot.Revision.ID == revision {
			serving++
		}
	}
	if serving != len(u.desired) {
		return fmt.Errorf("%d of %d instances serve %s", serving, len(u.desired), revision)
	}
	return nil
}

// tally counts the calls of a deployer. Renewals of the lock depend on time, not
// on the plan, so they are left out.
type tally struct {
	mu    sync.Mutex
	calls map[rollout.Step]int
}

func (t *tally) observe(e rollout.Event) {
	if e.Kind == rollout.EventCall && e.Phase == rollout.PhaseAfter && e.Step != rollout.StepRenew {
		t.add(e.Step)
	}
}

func (t *tally) add(step rollout.Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[step]++
}

// ownTime is the processor time of this process alone; 0 without /proc. None of
// its children ends while it is asked for.
func ownTime() time.Duration {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	p, _ := parseStat(string(stat))
	return p.used
}
