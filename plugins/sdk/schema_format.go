// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// The formats of the dialect. Others say something to readers only.
const (
	formatDuration = "duration" // as Go writes them, such as "1m30s"; not negative
	formatHostPort = "hostport" // a host name or address, with or without a port
	formatPort     = "port"     // 1 to 65535
	formatPath     = "path"     // of a file or directory
)

func formatName(format string) string {
	if format == formatHostPort {
		return "host or host:port"
	}
	return format
}

// checkFormat says what is wrong with a text; "" is nothing.
func checkFormat(format, text string) string {
	switch format {
	case formatDuration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return `write it like "90s", "10m" or "1h30m"`
		}
		if d < 0 {
			return "it is negative"
		}
	case formatPort:
		return checkPort(text)
	case formatPath:
		if strings.TrimSpace(text) == "" {
			return "it is empty"
		}
		if strings.ContainsAny(text, "\x00\r\n") {
			return "it contains a line break or a zero byte"
		}
	case formatHostPort:
		return checkHostPort(text)
	}
	return ""
}

func checkPort(text string) string {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != text {
		return "ports are 1 to 65535"
	}
	return ""
}

func checkHostPort(text string) string {
	host := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		host = text[1 : len(text)-1]
		if net.ParseIP(host) == nil {
			return "what is in brackets is no IPv6 address"
		}
	} else if net.ParseIP(text) == nil && strings.Contains(text, ":") {
		var port string
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return `write it like "app.example.com:22" or "[2001:db8::1]:22"`
		}
		if problem := checkPort(port); problem != "" {
			return problem
		}
	}
	if host == "" {
		return "the host is missing"
	}
	if strings.HasPrefix(host, "-") {
		return "a host does not begin with a dash"
	}
	for _, r := range host {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`/\@"'`+"`"+`$;&|<>(){}#,`, r) {
			return "it contains " + strconv.QuoteRune(r)
		}
	}
	return ""
}

// nearest is the name somebody probably meant, or "".
func nearest(name string, names []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, n := range names {
		if d := distance(name, n); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
