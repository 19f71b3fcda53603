// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"os/exec"
	"path/filepath"
	"testing"
)

const slowly = `
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo begun; exec cat ${path.module}/pipe"
  }
}
`

func TestTerraformPlansAndApplies(t *testing.T) {
	t.Parallel()
	tf := newTerraform(t, t.TempDir())
	tf.Write("main.tf", "variable \"input\" {\n  default = \"a\"\n}\nresource \"terraform_data\" \"one\" {\n  input = var.input\n}\noutput \"it\" {\n  value = terraform_data.one.output\n}\n")
	if did := tf.Planned("terraform_data.one").Does(); did != "create" {
		t.Errorf("the first plan would %s", did)
	}
	tf.Apply().MustSay(t, "Apply complete! Resources: 1 added")
	tf.NoChanges()
	saved := tf.SavePlan("-var=input=b")
	tf.Apply(saved).MustSay(t, "1 changed")
	if got := tf.Resource("terraform_data.one")["output"]; got != "b" {
		t.Errorf("the state holds %v", got)
	}
	if got := tf.ShowState().Outputs["it"]; got != "b" {
		t.Errorf("the output is %v", got)
	}
	tf.PlanFails("-var=nonsense=1").MustSay(t, "Value for undeclared variable")
	tf.Destroy()
	if tf.Has("terraform_data.one") {
		t.Error("it is still in the state")
	}
}

func TestTerraformCanBeKilledAndInterrupted(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*Process){"Kill": (*Process).Kill, "Interrupt": (*Process).Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tf := newTerraform(t, t.TempDir())
			tf.Write("main.tf", slowly)
			if out, err := runHostCommand(exec.Command("mkfifo", filepath.Join(tf.Dir, "pipe")), ""); err != nil {
				t.Fatal(out)
			}
			p := tf.StartApply()
			p.WaitFor("begun")
			stop(p)
			if out := p.Wait(); out.Err == nil {
				t.Errorf("the apply succeeded:\n%s", out.Text())
			}
		})
	}
}

func TestAnOutputIsReadWithoutItsFrame(t *testing.T) {
	t.Parallel()
	out := Output{Args: []string{"terraform", "plan"}, Stderr: "╷\n│ Error: it\n│ broke   at\n╵ once\n"}
	if out.Flat() != "Error: it broke at once" {
		t.Errorf("flat: %q", out.Flat())
	}
	out.MustSay(t, "broke at once")
	out.MustNotSay(t, "twice")
}
