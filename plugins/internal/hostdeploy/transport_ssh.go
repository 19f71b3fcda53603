// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/internal/sshconn"
)

var errNoSession = sshconn.ErrNoSession

// overSSH reaches machines by SSH.
type overSSH struct{ dialer *sshconn.Dialer }

func (t overSSH) Connect(ctx context.Context, address string) (Conn, error) {
	c, err := t.dialer.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return sshMachine{c}, nil
}

func (t overSSH) Close() error {
	t.dialer.Close()
	return nil
}

type sshMachine struct{ *sshconn.Conn }

func (m sshMachine) Start(ctx context.Context, command string) (Session, error) {
	s, err := m.Conn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	return s, nil
}
