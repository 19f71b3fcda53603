// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// TestMain runs the tests against the real Terraform of the PATH.
func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests run Terraform:", err)
		return 1
	}
	home, err := os.MkdirTemp("", "delivery-provider-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(home)
	// Nothing of the user's own configuration is seen.
	for name, value := range map[string]string{
		"TF_ACC": "1", "TF_ACC_TERRAFORM_PATH": terraform, "CHECKPOINT_DISABLE": "1",
		"TF_CLI_CONFIG_FILE": filepath.Join(home, "terraform.rc"), "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
	} {
		if _, set := os.LookupEnv(name); set && strings.HasPrefix(name, "TF_ACC") {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err := os.WriteFile(filepath.Join(home, "terraform.rc"), []byte("disable_checkpoint = true\n"), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// factories serve the provider from this process.
func factories(t testing.TB) map[string]func() (tfprotov6.ProviderServer, error) {
	t.Helper()
	processes := &Processes{}
	t.Cleanup(processes.Close)
	return map[string]func() (tfprotov6.ProviderServer, error){
		"delivery": providerserver.NewProtocol6WithError(New("test", processes)()),
	}
}

// withStore is a provider block with a store in a directory of the test's own,
// and whatever else is given.
func withStore(t testing.TB, more string) string {
	t.Helper()
	return providerBlock(filepath.Join(t.TempDir(), "store"), more)
}

func providerBlock(store, more string) string {
	return fmt.Sprintf("provider \"delivery\" {\n  store = %q\n%s\n}\n", store, more)
}

// saying matches a text however Terraform breaks its lines.
func saying(texts ...string) *regexp.Regexp {
	var parts []string
	for _, text := range texts {
		words := strings.Fields(text)
		for i, word := range words {
			words[i] = regexp.QuoteMeta(word)
		}
		parts = append(parts, strings.Join(words, `[\s│]+`))
	}
	return regexp.MustCompile(`(?s)` + strings.Join(parts, `.*`))
}
