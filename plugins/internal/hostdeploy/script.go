// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	_ "embed"
	"fmt"
	"strings"
)

// The scripts are POSIX sh and need nothing on a host but a shell and the
// usual small programs.
var (
	//go:embed script/process.sh
	processScript string
	//go:embed script/agent.sh
	agentScript string
	//go:embed script/lock.sh
	lockScript string
	//go:embed script/inspect.sh
	inspectScript string
	//go:embed script/prepare.sh
	prepareScript string
	//go:embed script/service.sh
	serviceScript string
	//go:embed script/record.sh
	recordScript string
	//go:embed script/supervise.sh
	superviseScript string
	//go:embed script/start.sh
	startScript string

	// bootstrap is the command that makes a login shell, whichever it is, into
	// an agent.
	bootstrap = anyShell(lean(processScript + agentScript + lockScript + inspectScript + prepareScript + serviceScript + recordScript + "serve\n"))
	// supervisor and starter are kept with each release.
	supervisor = lean(processScript + superviseScript)
	starter    = lean(processScript + startScript)
)

// lean drops comments and indentation.
func lean(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// anyShell packs a script into one line that sh, bash, zsh, csh and fish all
// hand on to /bin/sh unchanged: in single quotes, in words that are not too
// long for any of them, without a character that one of them would read.
func anyShell(script string) string {
	const wordLimit = 900
	var words []string
	var word strings.Builder
	for i := range len(script) {
		switch c := script[i]; {
		case c == '\n':
			word.WriteString(`\n`)
		case c == '\'' || c == '!' || c == '\\' || c < ' ' || c > '~':
			fmt.Fprintf(&word, `\0%03o`, c)
		default:
			word.WriteByte(c)
		}
		if word.Len() >= wordLimit {
			words = append(words, word.String())
			word.Reset()
		}
	}
	words = append(words, word.String())
	return `exec /bin/sh -c 'eval "$(printf %b "$@")"' sh '` + strings.Join(words, `' '`) + `'`
}
