// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"sync"
)

// releaseMemory is what releases tell deployments within one provider process.
// Terraform refreshes and plans a release before the deployments that use it,
// so what it learned can be told in their plans; values that a plan promises
// never depend on it.
type releaseMemory struct {
	mu       sync.Mutex
	releases map[string]rememberedRelease
}

type rememberedRelease struct {
	commits []commitModel
	// recipe makes the release again; empty while the store holds it.
	recipe json.RawMessage
}

// rememberCommits notes what is new in a release that is planned.
func (m *releaseMemory) rememberCommits(id string, commits []commitModel) {
	m.update(id, func(r *rememberedRelease) { r.commits = commits })
}

// rememberRecipe notes how to make a release again that the store has lost.
func (m *releaseMemory) rememberRecipe(id string, recipe json.RawMessage) {
	m.update(id, func(r *rememberedRelease) { r.recipe = recipe })
}

func (m *releaseMemory) update(id string, change func(*rememberedRelease)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.releases == nil {
		m.releases = map[string]rememberedRelease{}
	}
	r := m.releases[id]
	change(&r)
	m.releases[id] = r
}

func (m *releaseMemory) recall(id string) rememberedRelease {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.releases[id]
}
