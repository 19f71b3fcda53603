// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

func TestHostGone(t *testing.T) {
	t.Parallel()
	g := newGuard()
	at := func(after time.Duration) time.Time { return g.started.Add(after) }
	if why := g.hostGone(at(time.Second), false); why != "" {
		t.Errorf("before the first beat: %s", why)
	}
	if g.hostGone(at(time.Second), true) == "" {
		t.Error("the parent ended before the first beat")
	}
	if g.hostGone(at(2*hostFirstBeat), false) == "" {
		t.Error("a host that never called")
	}
	_, broke, err := g.enter(t.Context(), pb.Deployer_Attend_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if why := g.hostGone(at(time.Hour), true); why != "" {
		t.Errorf("while the heartbeat lasts: %s", why)
	}
	broke()
	if g.hostGone(g.lastBeat.Add(time.Millisecond), true) == "" {
		t.Error("heartbeat and parent are both gone")
	}
	if why := g.hostGone(g.lastBeat.Add(hostGrace/2), false); why != "" {
		t.Errorf("a heartbeat that has just broken: %s", why)
	}
	if g.hostGone(g.lastBeat.Add(2*hostGrace), false) == "" {
		t.Error("the heartbeat broke long ago")
	}
}

func TestEndingWaitsForSteps(t *testing.T) {
	t.Parallel()
	g := newGuard()
	step, leave, err := g.enter(t.Context(), pb.Deployer_Activate_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		g.end("a test")
		close(ended)
	}()
	<-step.Done() // it is asked to stop
	select {
	case <-ended:
		t.Fatal("it ended in the middle of a step")
	default:
	}
	if _, _, err := g.enter(t.Context(), pb.Deployer_Remove_FullMethodName); err == nil {
		t.Error("a new step began")
	}
	if _, done, err := g.enter(t.Context(), pb.Deployer_Inspect_FullMethodName); err != nil {
		t.Errorf("looking is not allowed: %v", err)
	} else {
		done()
	}
	leave()
	<-ended
}

type plainCore struct{ deployer.Core }

func (plainCore) Describe(context.Context) (deployer.Description, error) {
	return deployer.Description{Name: "plain", Version: "3"}, nil
}

func TestByHand(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	d := deployer.Complete(plainCore{})
	if code := describeTo(&out, &errs, d); code != 0 || errs.Len() > 0 {
		t.Errorf("describe: %d, %s", code, &errs)
	}
	if got, err := ParseDescription(out.Bytes()); err != nil || got.Name != "plain" {
		t.Errorf("describe printed %s: %v", &out, err)
	}
	if code := introduce(&errs, d); code != 1 || !strings.Contains(errs.String(), `the deployer "plain", version 3`) || !strings.Contains(errs.String(), " describe") {
		t.Errorf("by hand: %d, %s", code, &errs)
	}
}

type directoryCore struct {
	plainCore
	got string
}

func (d *directoryCore) Configure(_ context.Context, req deployer.ConfigureRequest) error {
	d.got = req.Directory
	return nil
}

func TestPrivateDirectory(t *testing.T) {
	t.Parallel()
	core := &directoryCore{}
	w := &withDirectory{Deployer: deployer.Complete(core)}
	if err := w.Configure(t.Context(), deployer.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(core.got); err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%s is %v, %v", core.got, info, err)
	}
	w.remove()
	if _, err := os.Stat(core.got); err == nil {
		t.Error("it is still there")
	}
}
