// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package sshconn

import (
	"net"
	"time"
)

func kernelLatency(net.Conn) (time.Duration, bool) { return 0, false }
