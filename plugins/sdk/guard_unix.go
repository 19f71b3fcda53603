// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package sdk

import (
	"os"
	"os/signal"
	"syscall"
)

// watchSignals survives what would end a process in the middle of a step. The
// signals are caught and not ignored, so that the programs which a deployer
// starts do not inherit that.
func (g *guard) watchSignals() {
	harmless := make(chan os.Signal, 1)
	signal.Notify(harmless, syscall.SIGPIPE, syscall.SIGINT)
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-harmless:
			case s := <-ending:
				go g.endOrExit(s.String())
			}
		}
	}()
}

func parentChanged(parent int) bool { return os.Getppid() != parent }
