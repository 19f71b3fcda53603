// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pids is what runs on every host, to see that nothing was restarted.
func (s *shop) pids() string {
	var all []string
	for _, h := range s.fleet.Hosts {
		out, _ := h.Try("pgrep -f '[a]pp.py'")
		all = append(all, out)
	}
	return strings.Join(all, ",")
}

// Rule 9: Create refuses a complete deployment of somebody else, and says which
// release it is, how old, of which operation, and how to take it over.
func TestAForeignDeploymentIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	first, before := s.releaseID(), s.pids()
	s.commit("v2")
	other := s.tf.Sibling()
	other.Write("main.tf", s.render(s.config))
	out := other.ApplyFails()
	out.MustSay(t, first, "create", "import")
	s.answers("v1")
	if s.pids() != before {
		t.Error("a refused create restarted the service")
	}
	// Its destroy removes nothing that is not its own.
	other.Destroy()
	s.answers("v1")
	s.tf.Apply()
	s.answers("v2")
}

// Rule 9: a copied state that is behind is caught by the ledger's generation.
func TestACopiedStateIsCaught(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	other := s.tf.Sibling()
	state, err := os.ReadFile(filepath.Join(s.tf.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	other.Write("terraform.tfstate", string(state))
	s.commit("v2")
	other.Write("main.tf", s.render(s.config))
	file := other.SavePlan()
	s.tf.Apply()
	s.answers("v2")
	s.Deployment = `environment_variables = { MODE = "two" }`
	s.write()
	s.tf.Apply()
	out := other.ApplyFails(file)
	out.MustSay(t, "changed since")
	s.answers("v2 two")
}

// Rule 9: create_before_destroy is not supported, and harmless: the new object
// is refused, and the old one's instances are not emptied.
func TestCreateBeforeDestroyIsHarmless(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.Deployment = "lifecycle {\n create_before_destroy = true\n }"
	s.write()
	s.tf.Apply()
	s.tf.ApplyFails("-replace=delivery_deployment.api").MustSay(t, "import")
	s.answers("v1")
	s.tf.NoChanges()
}

// Rule 10: hosts are added, removed and moved. An added host has nothing before
// it, a removed one is emptied last, after success.
func TestHostListsGrowShrinkAndMove(t *testing.T) {
	t.Parallel()
	s := newShop(t, 3)
	all := s.fleet.Hosts
	s.Hosts = s.fleet.HostsHCL(all[0])
	s.write()
	s.tf.Apply()
	before := s.pids()
	s.Hosts = s.fleet.HostsHCL(all[0], all[1])
	s.write()
	s.tf.Apply()
	s.answers("v1", all[:2]...)
	if now := s.pids(); strings.Split(now, ",")[0] != strings.Split(before, ",")[0] {
		t.Error("adding a host restarted another one")
	}
	// app-1's name moves to the third machine.
	s.Hosts = `{ app-1 = "` + all[2].Address + `", app-2 = "` + all[1].Address + `" }`
	s.write()
	s.tf.Apply()
	s.answers("v1", all[1:]...)
	s.answers("", all[0])
	if left := strings.TrimSpace(all[0].Exec(t, "ls -A /srv")); left != "" {
		t.Errorf("the old place of app-1 still has %s", left)
	}
	s.Hosts = s.fleet.HostsHCL(all[1])
	s.write()
	s.tf.Apply()
	s.answers("", all[2])
	s.answers("v1", all[1])
	s.tf.NoChanges()
}

// Rule 10: the revert of an added host is its removal.
func TestAnAddedHostThatFailsIsEmptied(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.Hosts = s.fleet.HostsHCL(s.fleet.Hosts[0])
	s.repo.Write("app.py", strings.Replace(app, `version.startswith("bad")`, `os.path.exists("/srv/flag")`, 1))
	s.commit("v1")
	s.write()
	s.tf.Apply()
	s.fleet.Hosts[1].Write(t, "/srv/flag", "")
	s.Hosts = s.fleet.HostsHCL()
	s.write()
	s.tf.ApplyFails().MustSay(t, "app-2")
	s.answers("v1", s.fleet.Hosts[0])
	s.answers("", s.fleet.Hosts[1])
	if left := strings.TrimSpace(s.fleet.Hosts[1].Exec(t, "ls -A /srv")); left != "flag" {
		t.Errorf("the added host still has %s", left)
	}
	if i := instance(s.deployment(), "app-2"); i != nil && i["release"] != nil {
		t.Errorf("the state says of the added host: %v", i)
	}
}

// Rule 10: a removed host that cannot be reached is a warning, is not
// forgotten, and is emptied when it is back.
func TestARemovedHostThatIsDown(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	gone := s.fleet.Hosts[1]
	gone.Kill(t)
	s.Hosts = s.fleet.HostsHCL(s.fleet.Hosts[0])
	s.write()
	s.tf.Apply().MustSay(t, "Warning", "app-2", "could not be reached")
	s.tf.NoChanges().MustSay(t, "app-2")
	gone.Start(t)
	if change := s.tf.Planned("delivery_deployment.api"); change.Does() != "update" {
		t.Errorf("the host is back, and the plan is %s", change.Does())
	}
	s.tf.Apply()
	if left := strings.TrimSpace(gone.Exec(t, "ls -A /srv")); left != "" {
		t.Errorf("the removed host still has %s", left)
	}
	s.tf.NoChanges()
	s.answers("v1", s.fleet.Hosts[0])
}

// Rule 11: import by name adopts at the next apply, and touches nothing that
// already runs the right revision.
func TestImportByName(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	before := s.pids()
	s.tf.Run("state", "rm", "delivery_deployment.api")
	s.tf.ApplyFails().MustSay(t, "import")
	if out := s.tf.Run("import", "delivery_deployment.api", "production/api"); out.Err != nil {
		t.Fatal(out.Text())
	}
	s.tf.Apply().MustSay(t, "adopted")
	if s.pids() != before {
		t.Error("the adoption restarted the service")
	}
	s.runs(s.releaseID())
	s.tf.NoChanges()
	s.tf.Destroy()
	s.answers("")
}

// Rule 11: import with the target shows what really runs there.
func TestImportWithTheTarget(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	first := s.releaseID()
	s.tf.Run("state", "rm", "delivery_deployment.api")
	s.commit("v2")
	id, err := json.Marshal(map[string]any{"environment": "production", "name": "api", "ssh": map[string]any{
		"hosts": map[string]string{"app-1": s.fleet.Hosts[0].Address}, "path": "/srv/api",
		"service": map[string]string{"command": "exec python3 app.py", "stop_timeout": "2s"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if out := s.tf.Run("import", "delivery_deployment.api", string(id)); out.Err != nil {
		t.Fatal(out.Text())
	}
	if got := instance(s.deployment(), "app-1")["release"]; got != first {
		t.Errorf("the import says that %v runs, not %s", got, first)
	}
	change := s.tf.Planned("delivery_deployment.api")
	if before, after := instance(change.Change.Before, "app-1"), instance(change.Change.After, "app-1"); before["release"] != first || after["release"] == first {
		t.Errorf("the plan after the import is %v -> %v", before, after)
	}
	s.tf.Apply()
	s.answers("v2")
}

// Rule 12: a destroy that cannot reach a host is an error and keeps the state.
func TestADestroyThatCannotReachAHost(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	s.write()
	s.tf.Apply()
	s.fleet.Hosts[1].Kill(t)
	out := s.tf.Run("destroy", "-auto-approve")
	if out.Err == nil {
		t.Error("the destroy succeeded")
	}
	out.MustSay(t, "app-2", "reach")
	if !s.tf.Has("delivery_deployment.api") {
		t.Error("the deployment is gone from the state")
	}
	s.fleet.Hosts[1].Start(t)
	s.tf.Destroy()
	for _, h := range s.fleet.Hosts {
		if left := strings.TrimSpace(h.Exec(t, "ls -A /srv")); left != "" {
			t.Errorf("%s still has %s", h.Name, left)
		}
	}
}

// Rule 12: another name, environment or deployer is a replacement, and the plan
// says that it means downtime.
func TestReplacementIsAnnounced(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	s.write()
	s.tf.Apply()
	s.Name = "api2"
	s.write()
	change := s.tf.Planned("delivery_deployment.api")
	if change.Does() != "delete,create" {
		t.Errorf("the plan is %s", change.Does())
	}
	s.tf.Plan().MustSay(t, "downtime")
}
