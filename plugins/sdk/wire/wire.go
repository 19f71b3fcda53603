// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package wire carries the contract of plugins/sdk/deployer over gRPC as the
// protocol delivery.deployer.v1. The server wraps a deployer.Deployer, the
// client is one: nobody else has to know that a wire is between them. The
// messages are in deployerv1; the conversions are here and nowhere else.
package wire

import (
	"context"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

const (
	// ProtocolVersion is the version of go-plugin's handshake that stands for
	// delivery.deployer.v1.
	ProtocolVersion = 1
	// PluginName is the name under which a program serves its deployer.
	PluginName = "deployer"
	// MaxMessage bounds a message in bytes, either way.
	MaxMessage = 64 << 20
	// BeatInterval is the time between two beats of a server's Attend.
	BeatInterval = 2 * time.Second

	callHeader = "delivery-call"
)

// Handshake keeps programs that are no deployers from being taken for some.
var Handshake = plugin.HandshakeConfig{
	MagicCookieKey:   "DELIVERY_DEPLOYER_PLUGIN",
	MagicCookieValue: "5f0c6b1d2e8a49d3b7c1f46d9a02e87360c5d4b18f7e29a3",
}

// Plugin joins the protocol to go-plugin. Deployer is what a program serves; a
// host leaves it nil.
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	Deployer deployer.Deployer
}

var _ plugin.GRPCPlugin = (*Plugin)(nil)

// GRPCServer registers the deployer.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	pb.RegisterDeployerServer(s, NewServer(p.Deployer))
	return nil
}

// GRPCClient returns a *[Client].
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return NewClient(conn), nil
}

// Mutates says whether a gRPC method, by its full name, changes something: its
// step must not be cut off in the middle.
func Mutates(fullMethod string) bool {
	switch fullMethod {
	case pb.Deployer_Acquire_FullMethodName, pb.Deployer_Renew_FullMethodName, pb.Deployer_Release_FullMethodName,
		pb.Deployer_Prepare_FullMethodName, pb.Deployer_Stage_FullMethodName, pb.Deployer_Activate_FullMethodName,
		pb.Deployer_Retire_FullMethodName, pb.Deployer_Shift_FullMethodName, pb.Deployer_Remove_FullMethodName,
		pb.Deployer_Record_FullMethodName, pb.Deployer_Prune_FullMethodName, pb.Deployer_Run_FullMethodName,
		pb.Deployer_RunStage_FullMethodName:
		return true
	}
	return false
}

// Attends says whether a gRPC method is the heartbeat.
func Attends(fullMethod string) bool { return fullMethod == pb.Deployer_Attend_FullMethodName }
