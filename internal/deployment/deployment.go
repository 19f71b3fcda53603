// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package deployment is how a release comes to run: it turns what a user asks
// for into revisions and instances, compares that with what was observed,
// fetches the release from the store, has the rollout engine bring it to the
// target through a deployer, and says afterwards what is true.
//
// Planning is split in two so that a saved plan ships exactly what it showed:
// [Service.Observe] looks at the world, [Compute] is a pure function of
// configuration and what was observed.
package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
	"github.com/tfdelivery/terraform-provider-delivery/internal/rollout"
	"github.com/tfdelivery/terraform-provider-delivery/internal/store"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// Deployers gives the deployer of a name, started and configured.
type Deployers interface {
	Deployer(ctx context.Context, name string) (deployer.Deployer, error)
}

// Service does the work of all deployments of one provider process.
type Service struct {
	Deployers Deployers
	// Store opens the store when a release is needed, and not before.
	Store func(ctx context.Context) (store.Store, error)
	// Commits lists what is new in a release; nil when nobody can tell.
	Commits func(ctx context.Context, from, to store.Release) ([]Commit, error)
	// Rebuild makes a release again that the store does not hold, from the
	// recipe kept when it was planned; nil when nobody can.
	Rebuild func(ctx context.Context, recipe json.RawMessage) error
	// Progress receives the engine's events; nil for none.
	Progress func(rollout.Event)
	// Now is the time; nil is the real one.
	Now func() time.Time
}

// Target names what one deployment addresses and which deployer reaches it.
type Target struct {
	Environment string          `json:"environment"`
	Name        string          `json:"name"`
	Deployer    string          `json:"deployer"`
	Config      json.RawMessage `json:"config"` // what the user set; unknown values are deployer.UnknownMarker
}

// ID is "environment/name".
func (t Target) ID() string { return t.Environment + "/" + t.Name }

func (t Target) wire() deployer.Target {
	return deployer.Target{Environment: t.Environment, Deployment: t.Name, Config: t.Config}
}

// Spec is what a user asks for.
type Spec struct {
	Target
	ReleaseID      string
	Variables      map[string]string
	Secrets        map[string]string // only while applying
	SecretsVersion int64
	Strategy       rollout.Strategy
	Health         rollout.HealthCheck
	Revert         rollout.Revert
	Tasks          rollout.Tasks
	Hooks          rollout.Hooks
	LockTimeout    time.Duration        // how long to wait for somebody else's lock; 0: not at all
	Evidence       EvidenceMode         // "": best effort
	Analyses       []analysis.Criterion // judge the revision during the rollout, and at last

	// RevisionUnknown: release, variables or secrets version are not known yet.
	RevisionUnknown bool
}

// Commit is one commit that a deployment brought.
type Commit struct {
	SHA     string
	Author  string
	Subject string
}

// session is a deployer in use, with what it said of itself.
type session struct {
	deployer.Deployer
	description deployer.Description
	schema      *sdk.Schema
}

func (s *Service) open(ctx context.Context, name string) (*session, error) {
	d, err := s.Deployers.Deployer(ctx, name)
	if err != nil {
		return nil, err
	}
	description, err := d.Describe(ctx)
	if err != nil {
		return nil, err
	}
	schema, err := sdk.ParseSchema(description.TargetSchema)
	if err != nil {
		return nil, fmt.Errorf("the target schema of deployer %q: %w", name, err)
	}
	return &session{Deployer: d, description: description, schema: schema}, nil
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// keepReleases reads the member keep_releases, by convention the number of
// revisions that a target keeps.
func keepReleases(config json.RawMessage) int {
	const fallback = 5
	var c struct {
		Keep *int `json:"keep_releases"`
	}
	if json.Unmarshal(config, &c) != nil || c.Keep == nil || *c.Keep < 1 {
		return fallback
	}
	return *c.Keep
}

// SplitReleaseID splits "pipeline:version".
func SplitReleaseID(id string) (pipeline, version string, err error) {
	pipeline, version, ok := strings.Cut(id, ":")
	if !ok || pipeline == "" || version == "" {
		return "", "", fmt.Errorf("%q is not a release id; it has the form <pipeline>:<version>, as the attribute id of delivery_release gives it", id)
	}
	return pipeline, version, nil
}

// Actor names who is applying, for locks and ledgers: user@host, with the CI
// job or HCP Terraform run when there is one.
func Actor() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = filepath.Base(filepath.ToSlash(u.Username))
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	actor := name + "@" + host
	for _, key := range []string{"TFC_RUN_ID", "CI_JOB_URL", "BUILD_URL", "TRAVIS_BUILD_WEB_URL"} {
		if v := os.Getenv(key); v != "" {
			return actor + " (" + v + ")"
		}
	}
	if id := os.Getenv("GITHUB_RUN_ID"); id != "" {
		return fmt.Sprintf("%s (%s/%s/actions/runs/%s)", actor, os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"), id)
	}
	return actor
}
