// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Terraform is a working directory with a configuration and a state, and the
// real terraform program with this tree's provider and deployers.
type Terraform struct {
	Dir      string // working directory
	Provider string // directory of the provider's programs, of this test alone
	Env      []string

	t     testing.TB
	plans int
}

// commandTime bounds one terraform command.
const commandTime = 10 * time.Minute

// NewTerraform makes a working directory. The provider is found by a
// development override, so no init is needed. Nothing of the user's own
// Terraform, Git and SSH configuration is seen. When the test ends, what the
// state still has on this machine is destroyed, and the test fails if a process
// of the provider is left.
func NewTerraform(t testing.TB) *Terraform {
	t.Helper()
	return newTerraform(t, Provider(t))
}

// NewTerraformFromMirror makes a working directory that knows providers only
// from a filesystem mirror, so terraform init comes first, as users have it.
func NewTerraformFromMirror(t testing.TB, mirror string) *Terraform {
	t.Helper()
	return setUp(t, mirror, fmt.Sprintf("filesystem_mirror {\n    path = %q\n  }", mirror))
}

// Sibling is another working directory with the same programs, such as a
// second checkout of the same configuration.
func (tf *Terraform) Sibling() *Terraform {
	tf.t.Helper()
	return newTerraform(tf.t, tf.Provider)
}

func newTerraform(t testing.TB, provider string) *Terraform {
	t.Helper()
	return setUp(t, provider, fmt.Sprintf("dev_overrides {\n    \"tfdelivery/delivery\" = %q\n  }\n  direct {}", provider))
}

func setUp(t testing.TB, provider, installation string) *Terraform {
	t.Helper()
	base := t.TempDir()
	tf := &Terraform{Dir: filepath.Join(base, "work"), Provider: provider, t: t}
	home := filepath.Join(base, "home")
	for _, dir := range []string{tf.Dir, home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(base, "terraform.rc")
	writeFile(t, config, "disable_checkpoint = true\nprovider_installation {\n  "+installation+"\n}\n", 0o644)
	tf.Env = append(quietEnvironment(t), "HOME="+home, "TF_CLI_CONFIG_FILE="+config)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("terraform worked in %s", tf.Dir)
		}
		tf.clean()
		NoLeaks(t, provider)
	})
	return tf
}

// quietEnvironment is this process's environment without the user's
// preferences, and with Go's caches, which stages may use.
func quietEnvironment(t testing.TB) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8",
		"TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
	}
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		env = append(env, names[i]+"="+value)
	}
	for _, name := range []string{"TMPDIR", "GORACE", "GOCOVERDIR", "SYSTEMROOT", "TF_LOG", "TF_LOG_PATH", "TF_LOG_PROVIDER"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Write puts a file into the working directory.
func (tf *Terraform) Write(name, content string) {
	tf.t.Helper()
	writeFile(tf.t, filepath.Join(tf.Dir, name), content, 0o644)
}

// Setenv adds a variable to the commands' environment.
func (tf *Terraform) Setenv(name, value string) { tf.Env = append(tf.Env, name+"="+value) }

// Run runs a terraform command to its end, whichever that is.
func (tf *Terraform) Run(args ...string) Output {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "terraform", args...)
	return tf.run(cmd)
}

// Init runs terraform init; with a development override only modules and
// backends need it.
func (tf *Terraform) Init(args ...string) Output {
	tf.t.Helper()
	return tf.mustSucceed(tf.Run(arguments([]string{"init", "-no-color"}, args)...))
}

// Validate runs terraform validate, whichever way it ends.
func (tf *Terraform) Validate() Output { return tf.Run("validate", "-no-color") }

// Plan fails the test unless the plan succeeds.
func (tf *Terraform) Plan(args ...string) Output {
	tf.t.Helper()
	return tf.mustSucceed(tf.Run(arguments(planArguments, args)...))
}

// PlanFails fails the test unless the plan does not succeed.
func (tf *Terraform) PlanFails(args ...string) Output {
	tf.t.Helper()
	return tf.mustFail(tf.Run(arguments(planArguments, args)...))
}

// NoChanges fails the test unless a plan finds nothing to do.
func (tf *Terraform) NoChanges(args ...string) Output {
	tf.t.Helper()
	out := tf.Run(arguments(append(planArguments[:len(planArguments):len(planArguments)], "-detailed-exitcode"), args)...)
	if out.Err != nil {
		tf.t.Fatalf("the plan is not empty, or failed (%v):\n%s", out.Err, out.Text())
	}
	return out
}

// Apply fails the test unless the apply succeeds.
func (tf *Terraform) Apply(args ...string) Output {
	tf.t.Helper()
	return tf.mustSucceed(tf.Run(arguments(applyArguments, args)...))
}

// ApplyFails fails the test unless the apply does not succeed.
func (tf *Terraform) ApplyFails(args ...string) Output {
	tf.t.Helper()
	return tf.mustFail(tf.Run(arguments(applyArguments, args)...))
}

// Destroy fails the test unless the destroy succeeds.
func (tf *Terraform) Destroy(args ...string) Output {
	tf.t.Helper()
	return tf.mustSucceed(tf.Run(arguments(destroyArguments, args)...))
}

var (
	planArguments    = []string{"plan", "-no-color", "-input=false"}
	applyArguments   = []string{"apply", "-no-color", "-input=false", "-auto-approve"}
	destroyArguments = []string{"destroy", "-no-color", "-input=false", "-auto-approve"}
)

func arguments(first, more []string) []string {
	return append(first[:len(first):len(first)], more...)
}

func (tf *Terraform) run(cmd *exec.Cmd) Output {
	cmd.Dir, cmd.Env = tf.Dir, tf.Env
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience
	dieWithParent(cmd)
	started := time.Now()
	err := cmd.Run()
	return Output{Args: cmd.Args, Stdout: stdout.String(), Stderr: stderr.String(), Err: err, Took: time.Since(started)}
}

func (tf *Terraform) mustSucceed(out Output) Output {
	tf.t.Helper()
	if out.Err != nil {
		tf.t.Fatalf("%s: %v\n%s", strings.Join(out.Args, " "), out.Err, out.Text())
	}
	return out
}

func (tf *Terraform) mustFail(out Output) Output {
	tf.t.Helper()
	if out.Err == nil {
		tf.t.Fatalf("%s succeeded, and should not have\n%s", strings.Join(out.Args, " "), out.Text())
	}
	return out
}

// clean destroys what a failed or short test left on this machine.
func (tf *Terraform) clean() {
	state, err := tf.readState()
	if err != nil {
		return
	}
	for _, resource := range state.Resources {
		if resource.Type == "delivery_deployment" && resource.Values["local"] != nil {
			if out := tf.Run(destroyArguments...); out.Err != nil {
				tf.t.Logf("clean up after the test: %v\n%s", out.Err, out.Text())
			}
			return
		}
	}
}

// Output is what a command printed, and how it ended.
type Output struct {
	Args   []string
	Stdout string
	Stderr string
	Err    error // nil when the exit status was 0
	Took   time.Duration
}

// Text is both streams, the errors last.
func (o Output) Text() string { return o.Stdout + o.Stderr }

// Flat is Text without the lines that Terraform draws around diagnostics and
// with each run of white space as one blank, so that where a line broke does
// not matter.
func (o Output) Flat() string {
	var words []string
	for line := range strings.Lines(o.Text()) {
		line = strings.TrimSpace(line)
		for _, edge := range []string{"╷", "│", "╵"} {
			line = strings.TrimPrefix(line, edge)
		}
		words = append(words, strings.Fields(line)...)
	}
	return strings.Join(words, " ")
}

// Says looks for a text in Flat.
func (o Output) Says(text string) bool { return strings.Contains(o.Flat(), text) }

// MustSay fails the test unless all texts are in Flat.
func (o Output) MustSay(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !o.Says(text) {
			t.Errorf("%s does not say %s:\n%s", strings.Join(o.Args[:2], " "), strconv.Quote(text), o.Text())
		}
	}
}

// MustNotSay fails the test if one of the texts is in Text or Flat.
func (o Output) MustNotSay(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if o.Says(text) || strings.Contains(o.Text(), text) {
			t.Errorf("%s says %s:\n%s", strings.Join(o.Args[:2], " "), strconv.Quote(text), o.Text())
		}
	}
}
