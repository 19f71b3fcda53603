// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// runHostCommand runs a command to its end, within patience, and returns what
// it printed.
func runHostCommand(cmd *exec.Cmd, stdin string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.Env = cmd.Env
	bounded.Stdin = strings.NewReader(stdin)
	out, err := bounded.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("no end within %s", patience)
	}
	return string(out), err
}
