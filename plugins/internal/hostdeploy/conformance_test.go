// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/conformance"
)

// program builds one of the deployers.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "delivery-deployer-"+name)
	build := exec.Command("go", "build", "-o", path, "github.com/tfdelivery/terraform-provider-delivery/plugins/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// freshTarget makes a target with a service, whose process ends with the test.
func freshTarget(t *testing.T, more map[string]any) json.RawMessage {
	t.Helper()
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "app")
	t.Cleanup(func() {
		(&rig{path: path}).killAll()
		_ = os.RemoveAll(dir)
	})
	config := map[string]any{"path": path, "service": map[string]any{"command": "exec sleep 1000", "stop_timeout": "2s"}}
	for k, v := range more {
		config[k] = v
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestLocalConforms(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Config{
		Executable:  program(t, "local"),
		Environment: map[string]string{"GREETING": "it's fine"},
		Target:      func(t *testing.T) json.RawMessage { return freshTarget(t, nil) },
		Timeout:     2 * time.Minute,
		Serial:      true,
	})
}

func TestSSHConforms(t *testing.T) {
	t.Parallel()
	server := newSSHD(t)
	connection, err := json.Marshal(server.connection())
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, conformance.Config{
		Executable: program(t, "ssh"), Connection: connection, Timeout: 2 * time.Minute, Serial: true,
		Target: func(t *testing.T) json.RawMessage {
			return freshTarget(t, map[string]any{"hosts": map[string]string{"app-1": fmt.Sprintf("127.0.0.1:%d", server.port)}})
		},
	})
}
