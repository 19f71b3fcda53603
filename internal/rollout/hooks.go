// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// commandTimeout is that of a command which has none of its own.
const commandTimeout = 10 * time.Minute

// drain takes traffic off an instance that serves, before its switch.
func (r *run) drain(ctx context.Context, m *member, revision string) *deployer.Error {
	serving := m.found.Serving()
	if r.plan.Hooks.Drain.Command == "" || serving == nil && !m.switched || m.drained {
		return nil
	}
	where := m.runs()
	if where != r.plan.Revision.ID && !m.found.Holds(where) {
		where = revision
	}
	m.drained = true // also when it fails half way
	err := r.command(ctx, StepDrain, r.plan.Hooks.Drain, m, where)
	if err != nil && serving != nil && !m.switched && broken(serving.Health) {
		r.warn(m.ID + " does not serve as it should, and could not be drained before it is switched: " + err.Message)
		return nil
	}
	return err
}

// undrain gives an instance its traffic back.
func (r *run) undrain(ctx context.Context, m *member, revision string) *deployer.Error {
	if r.plan.Hooks.Undrain.Command == "" {
		m.drained = false
		return nil
	}
	err := r.command(ctx, StepUndrain, r.plan.Hooks.Undrain, m, revision)
	m.drained = err != nil
	return err
}

// undrainRest gives the traffic back to instances that were drained and then not
// switched, or switched and seen healthy. One that is unhealthy stays drained.
func (r *run) undrainRest(ctx context.Context) {
	if !slices.ContainsFunc(r.members, func(m *member) bool { return m.drained }) {
		return
	}
	own, cancel := r.own(ctx, settleBudget+r.plan.Hooks.Undrain.timeout())
	defer cancel()
	now := map[string]deployer.Instance{}
	if r.out.Inspected {
		now = r.observed()
	}
	each(r.members, func(m *member) *Failure {
		if !m.drained {
			return nil
		}
		i := now[m.ID]
		if m.switched && !m.healthy && (m.from == r.plan.Revision.ID || !serves(&i, m.from)) {
			r.warn(m.ID + " was drained and is not healthy, so it was left without traffic.")
			return nil
		}
		if serving := i.Serving(); serving != nil {
			m.now = serving.Revision.ID
		}
		if err := r.undrain(own, m, m.runs()); err != nil {
			r.warn(m.ID + " was drained and could not be given its traffic back: " + err.Error())
		}
		return nil
	})
}

// undrainCutOff gives traffic back to instances that are as they should be, after
// a run that was cut off: it may have drained them.
func (r *run) undrainCutOff(ctx context.Context) []Failure {
	if !r.cutOff || r.plan.Hooks.Undrain.Command == "" {
		return nil
	}
	return each(r.members, func(m *member) *Failure {
		if m.pending || m.from == "" {
			return nil
		}
		if err := r.undrain(ctx, m, m.from); err != nil && (err.Code != deployer.CodeInterrupted || ctx.Err() == nil) {
			return &Failure{Instance: m.ID, Step: StepUndrain, Err: err}
		}
		return nil
	})
}

// runs is the revision that an instance runs, as far as this run brought it.
func (m *member) runs() string {
	if m.switched && m.now != "" {
		return m.now
	}
	return m.from
}

// task runs once, on the first instance that is switched.
func (r *run) task(ctx context.Context, step Step, task Command, pending []*member) []Failure {
	if task.Command == "" || len(pending) == 0 || ctx.Err() != nil || r.repairs() {
		return nil
	}
	m := pending[0]
	done := r.began(string(step), m.ID)
	safe, end := r.toSafePoint(ctx, task.timeout()) // a migration is not cut in two
	err := r.command(safe, step, task, m, r.plan.Revision.ID)
	end()
	done(err)
	if err == nil || err.Code == deployer.CodeInterrupted && ctx.Err() != nil {
		return nil
	}
	return []Failure{{Instance: m.ID, Step: step, Err: err}}
}

// repairs: the revision was rolled out whole before, so that its tasks are done.
func (r *run) repairs() bool {
	good := r.out.State.LastGood
	return good != nil && good.ID == r.plan.Revision.ID
}

func (c Command) timeout() time.Duration {
	switch {
	case c.Command == "":
		return 0
	case c.Timeout <= 0:
		return commandTimeout
	}
	return c.Timeout
}

// command runs a command in a revision's context on an instance. Its output is
// in the error.
func (r *run) command(ctx context.Context, step Step, c Command, m *member, revision string) *deployer.Error {
	target := r.plan.Target
	if m.target != nil {
		target = *m.target
	}
	return r.change(ctx, step, m.ID, func(token string) error {
		res, err := r.engine.Deployer.Run(ctx, deployer.RunRequest{
			Mutation:   r.mutation(target, m.ID, token, m.opaque),
			RevisionID: revision, Command: []string{"/bin/sh", "-c", c.Command}, Timeout: c.timeout(),
			Environment: map[string]string{
				"DELIVERY_INSTANCE": m.ID, "DELIVERY_ENVIRONMENT": r.plan.Target.Environment,
				"DELIVERY_DEPLOYMENT": r.plan.Target.Deployment, "DELIVERY_OPERATION": r.plan.Operation.ID,
				"DELIVERY_RELEASE": r.names[revision], "DELIVERY_REVISION": revision,
			},
		}, r.sink(step, m.ID))
		if err == nil && res.ExitCode != 0 {
			return &deployer.Error{
				Code: deployer.CodeFailed, Instance: m.ID, Step: string(step), Log: res.Log,
				Message: fmt.Sprintf("its command ended with status %d", res.ExitCode),
			}
		}
		return err
	})
}
