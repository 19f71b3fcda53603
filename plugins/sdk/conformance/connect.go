// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// connect gives a deployer on the other side of a wire, configured, and ends it
// with the test.
func connect(t *testing.T, config Config) *wire.Client {
	t.Helper()
	var client *wire.Client
	if config.Executable != "" {
		client = launch(t, config.Executable)
	} else {
		client = inMemory(t, config.Deployer())
	}
	ctx, cancel := context.WithTimeout(t.Context(), config.Timeout)
	defer cancel()
	err := client.Configure(ctx, deployer.ConfigureRequest{
		Connection: orEmpty(config.Connection), SSH: orEmpty(config.SSH), Directory: t.TempDir(),
	})
	if err != nil {
		t.Fatalf("Configure: %v", err)
	}
	return client
}

func orEmpty(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("{}")
	}
	return raw
}

func launch(t *testing.T, program string) *wire.Client {
	t.Helper()
	cmd := exec.Command(program)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PLUGIN_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	output := &testLog{t: t}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{wire.ProtocolVersion: {wire.PluginName: &wire.Plugin{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Cmd:              cmd,
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     time.Minute,
		Logger:           hclog.NewNullLogger(),
		Stderr:           output,
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	raw, err := protocol.Dispense(wire.PluginName)
	if err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	attend(t, raw.(*wire.Client))
	return raw.(*wire.Client)
}

// attend keeps the heartbeat, as every host does.
func attend(t *testing.T, client *wire.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = client.Attend(ctx, func() {})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// testLog shows what a program prints with the test that it belongs to.
type testLog struct{ t *testing.T }

func (l *testLog) Write(p []byte) (int, error) {
	if text := strings.TrimRight(string(p), "\n"); text != "" && l.t.Context().Err() == nil {
		l.t.Log(text)
	}
	return len(p), nil
}

func inMemory(t *testing.T, core deployer.Core) *wire.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pb.RegisterDeployerServer(server, wire.NewServer(deployer.Complete(core)))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return wire.NewClient(conn)
}

// archive makes the default artifact.
func archive(t *testing.T, name string) deployer.Artifact {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	content := []byte(name + "\n")
	header := &tar.Header{Name: "VERSION", Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "artifact.tar.zst")
	if err := os.WriteFile(path, b.Bytes(), 0o400); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return deployer.Artifact{
		MediaType: deployer.MediaTypeArchive, Digest: "sha256:" + hex.EncodeToString(sum[:]),
		Size: int64(b.Len()), Path: path,
	}
}
