// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Exampledeployer is somebody's first plugin, whole: it puts the file of a
// release into a directory and remembers which one is current. It has the four
// methods that every deployer has, and everything else by default.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func main() { sdk.Serve(files{}) }

type files struct{}

// config is what users write in the deployment's plugin block.
type config struct {
	Directory string `json:"directory" doc:"Where the files of releases go." delivery:"required,target,format=path"`
}

// current is the file that says what serves. Replacing it is the switch.
type current struct {
	Owner    string                `json:"owner"`
	Revision deployer.RevisionInfo `json:"revision"`
}

func (files) Describe(context.Context) (deployer.Description, error) {
	return deployer.Description{
		Name: "example", Version: "0.1.0", TargetSchema: sdk.SchemaOf[config](),
		ArtifactKinds: []string{deployer.MediaTypeArchive},
		Capabilities:  []deployer.Capability{deployer.Atomic},
	}, nil
}

func (files) Inspect(_ context.Context, req deployer.InspectRequest) (deployer.TargetState, error) {
	dir, err := home(req.Target)
	if err != nil {
		return deployer.TargetState{}, err
	}
	instance := deployer.Instance{Address: dir}
	now, err := load(dir, "current.json")
	switch {
	case errors.Is(err, fs.ErrNotExist): // nothing is here yet
	case err != nil:
		instance.Unreachable = err.Error()
	default:
		slot := deployer.Slot{Role: deployer.RoleServing, Revision: now.Revision, Health: deployer.HealthHealthy, Share: 1000}
		if _, err := os.Stat(filepath.Join(dir, now.Revision.ID)); err != nil {
			slot.Health, slot.Detail, slot.Incomplete = deployer.HealthMissing, err.Error(), true
		}
		instance.Owner, instance.Slots = now.Owner, []deployer.Slot{slot}
	}
	return deployer.TargetState{Owner: instance.Owner, Instances: []deployer.Instance{instance}}, nil
}

func (files) Activate(_ context.Context, req deployer.ActivateRequest, events deployer.EventSink) (deployer.Result, error) {
	dir, now, err := owned(req.Mutation)
	if err != nil {
		return deployer.Result{}, err
	}
	file, info := filepath.Join(dir, req.RevisionID), req.RevisionID+".json"
	next := current{Owner: req.Owner}
	if r := req.Revision; r != nil { // just prepared: bring it
		events(deployer.Event{Phase: "copy", Total: r.Artifact.Size})
		next.Revision = r.RevisionInfo
		if err := errors.Join(os.MkdirAll(dir, 0o700), fetch(r.Artifact, file), save(dir, info, next)); err != nil {
			return deployer.Result{}, err
		}
	} else { // brought before: it is all here
		kept, err := load(dir, info)
		if _, missing := os.Stat(file); err != nil || missing != nil {
			return deployer.Result{}, deployer.Errorf(deployer.CodeFailed, "revision %s is not here: prepare it first", req.RevisionID)
		}
		next.Revision = kept.Revision
	}
	if err := save(dir, "current.json", next); err != nil {
		return deployer.Result{}, err
	}
	return deployer.Result{Runs: req.RevisionID, Changed: now.Revision.ID != req.RevisionID}, nil
}

func (files) Remove(_ context.Context, req deployer.RemoveRequest, _ deployer.EventSink) (deployer.Result, error) {
	dir, now, err := owned(req.Mutation)
	if err != nil {
		return deployer.Result{}, err
	}
	return deployer.Result{Changed: now.Owner != ""}, os.RemoveAll(dir)
}

func home(t deployer.Target) (string, error) {
	c, err := sdk.Decode[config](t.Config)
	return filepath.Join(c.Directory, t.Environment+"-"+t.Deployment), err
}

// owned refuses to touch what another deployment has put there.
func owned(m deployer.Mutation) (dir string, now current, err error) {
	if dir, err = home(m.Target); err != nil {
		return "", now, err
	}
	if now, err = load(dir, "current.json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", now, err
	}
	if now.Owner != "" && now.Owner != m.Owner {
		return "", now, deployer.Errorf(deployer.CodeNotOwner, "%s belongs to another deployment", dir)
	}
	return dir, now, nil
}

// fetch copies an artifact, and keeps it only if it is the right one.
func fetch(a deployer.Artifact, to string) error {
	from, err := os.Open(a.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	part, err := os.Create(to + ".part")
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(part, hash), from)
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != a.Digest {
		return deployer.Errorf(deployer.CodeFailed, "the artifact is %s and should be %s", got, a.Digest)
	}
	return os.Rename(part.Name(), to)
}

func load(dir, name string) (c current, err error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// save replaces a file at once: old or new, never between.
func save(dir, name string, c current) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	part := filepath.Join(dir, name+".part")
	return errors.Join(os.WriteFile(part, text, 0o600), os.Rename(part, filepath.Join(dir, name)))
}
