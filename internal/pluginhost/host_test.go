// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package pluginhost_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/pluginhost"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func TestOneProcessForAll(t *testing.T) {
	t.Parallel()
	h, first := worker(t, pluginhost.Options{Connections: map[string]json.RawMessage{
		"worker": json.RawMessage(`{"a":1}`), "ssh": json.RawMessage(`{"user":"deploy"}`),
	}})
	second, err := h.Deployer(t.Context(), "worker")
	if err != nil {
		t.Fatal(err)
	}
	one, two := inspect(t, first, order{}), inspect(t, second, order{})
	if one.Owner != two.Owner {
		t.Errorf("processes %s and %s", one.Owner, two.Owner)
	}
	i := one.Instances[0]
	if i.Parts[0].Name != `{"a":1}` || i.Parts[0].Detail != `{"user":"deploy"}` {
		t.Errorf("configured with %+v", i.Parts[0])
	}
	info, err := os.Stat(i.Address)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the private directory is %v, %v", info, err)
	}
	h.Close()
	if _, err := os.Stat(i.Address); err == nil {
		t.Error("the private directory is still there")
	}
	_, err = h.Deployer(t.Context(), "worker")
	failure(t, err, deployer.CodePluginGone, "ending")
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	_, d := worker(t, pluginhost.Options{Environment: []string{
		"PATH=/bin", "LC_ALL=C", "AWS_SECRET_ACCESS_KEY=hidden", "PLUGIN_CLIENT_CERT=junk", "PLUGIN_MULTIPLEX_GRPC=true",
		"PLUGIN_UNIX_SOCKET_DIR=/nowhere", "DELIVERY_DEPLOYER_PLUGIN=no", "DELIVERY_DEPLOYER_DEBUG=1", "TF_LOG=TRACE",
	}})
	env := map[string]string{}
	for _, v := range inspect(t, d, order{}).Instances[0].Drift {
		env[v.What] = v.Actual
	}
	for name, want := range map[string]string{
		"PATH": "/bin", "LC_ALL": "C", "DELIVERY_DEPLOYER_DEBUG": "1",
		"AWS_SECRET_ACCESS_KEY": "", "PLUGIN_MULTIPLEX_GRPC": "", "TF_LOG": "",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if env["PLUGIN_CLIENT_CERT"] == "junk" || env["PLUGIN_UNIX_SOCKET_DIR"] == "/nowhere" {
		t.Error("the host's own plugin variables leaked")
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	h := host(t, pluginhost.Options{Directories: []string{"/nowhere/a", "/nowhere/b"}})
	_, err := h.Deployer(t.Context(), "ssh")
	failure(t, err, deployer.CodeFailed, "/nowhere/a/delivery-deployer-ssh", "/nowhere/b/delivery-deployer-ssh", pluginhost.DirectoryVariable)
	_, err = h.Deployer(t.Context(), "../ssh")
	failure(t, err, deployer.CodeInvalid, "../ssh")
}

func TestFound(t *testing.T) {
	t.Parallel()
	h := host(t, pluginhost.Options{Directories: []string{directory(t, "worker", "quitter"), directory(t, "worker", "other")}})
	found := h.Found(t.Context())
	var names []string
	for _, f := range found {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "other quitter worker" {
		t.Fatalf("found %s", got)
	}
	if f := found[0]; f.Err != nil || f.Version != "1.2.3" || len(f.Capabilities) == 0 || f.Artifacts[0] != deployer.MediaTypeArchive {
		t.Errorf("other is %+v", f)
	}
	failure(t, found[1].Err, deployer.CodeFailed, "exit status 3", "cannot find my libraries")
}

func checksum(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestCustom(t *testing.T) {
	t.Parallel()
	path := filepath.Join(directory(t, "edge"), pluginhost.Prefix+"edge")
	right, wrong := checksum(t, path), "sha256:"+strings.Repeat("ab", 32)
	custom := func(path, checksum string) *pluginhost.Host {
		return host(t, pluginhost.Options{Custom: []pluginhost.Custom{
			{Name: "mine", Path: path, Checksum: checksum, Config: json.RawMessage(`{"region":"eu"}`)},
		}})
	}
	_, err := custom(path, wrong).Deployer(t.Context(), "mine")
	failure(t, err, deployer.CodeRefused, right, wrong)
	_, err = custom(path, "").Deployer(t.Context(), "mine")
	failure(t, err, deployer.CodeInvalid, "sha256:")
	_, err = custom("/nowhere/edge", right).Deployer(t.Context(), "mine")
	failure(t, err, deployer.CodeFailed, "/nowhere/edge does not exist")

	d, err := custom(path, right).Deployer(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	i := inspect(t, d, order{}).Instances[0]
	if i.Parts[0].Name != `{"region":"eu"}` {
		t.Errorf("configured with %s", i.Parts[0].Name)
	}
	if i.Place == path {
		t.Error("it runs the original, which may be swapped after it was hashed")
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	dir := directory(t, "newer", "greeter", "quitter", "sleeper")
	broken := filepath.Join(dir, pluginhost.Prefix+"broken")
	if err := os.WriteFile(broken, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string][]string{
		"newer":   {"version 7", "version 1"},
		"greeter": {"no deployer", "Hello, I am no plugin."},
		"quitter": {"exit status 3", "cannot find my libraries"},
		"sleeper": {"did not answer in time"},
		"broken":  {"does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := 20 * time.Second
			if name == "sleeper" {
				timeout = 500 * time.Millisecond
			}
			_, err := host(t, pluginhost.Options{Directories: []string{dir}, StartTimeout: timeout}).Deployer(t.Context(), name)
			failure(t, err, deployer.CodeFailed, words...)
		})
	}
}
