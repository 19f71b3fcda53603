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

	agentWords = words(lean(processScript + agentScript + lockScript + inspectScript + prepareScript + serviceScript + recordScript))
	// supervisor and starter are kept with each release.
	supervisor = lean(processScript + superviseScript)
	starter    = lean(processScript + startScript)
)

// bootstrap is the command that makes a login shell, whichever it is, into an
// agent. sh, bash, zsh, csh and fish all hand it on to /bin/sh unchanged.
func bootstrap(nonce, first string) string {
	begin := "nonce=" + nonce + "\nline='started $$; say agent $$ $born'\nreply\n"
	if first != "" {
		begin += "line=" + quote(first) + "\nreply\n"
	}
	return `exec /bin/sh -c 'eval "$(printf %b "$@")"' sh ` + agentWords + " " + words(begin+"serve\n")
}

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

// words packs a script into words in single quotes that are not too long for any
// shell, without a character that one of them would read.
func words(script string) string {
	const wordLimit = 900
	var all []string
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
			all = append(all, word.String())
			word.Reset()
		}
	}
	all = append(all, word.String())
	return `'` + strings.Join(all, `' '`) + `'`
}
