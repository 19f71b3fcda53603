// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package sdk

import (
	"os"
	"os/signal"
	"syscall"
)

func (g *guard) watchSignals() {
	harmless := make(chan os.Signal, 1)
	signal.Notify(harmless, os.Interrupt)
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM)
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

// parentChanged cannot be seen here: a process keeps the number of a parent
// that is gone. The heartbeat tells.
func parentChanged(int) bool { return false }
