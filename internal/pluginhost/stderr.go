// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits on what a program prints.
const (
	tailLines     = 30      // kept for errors
	longestLine   = 4 << 10 // bytes; the rest of a line is left out
	linesAtOnce   = 500     // go to the log
	linesASecond  = 100     // afterwards
	handshakeLine = 16 << 10
)

// tail keeps the last lines.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, plainLine(line))
	if len(t.lines) > 2*tailLines {
		t.lines = slices.Delete(t.lines, 0, len(t.lines)-tailLines)
	}
}

func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines[max(0, len(t.lines)-tailLines):])
}

// plainLine shows a line of structured logging as a person would write it.
func plainLine(line string) string {
	if !strings.HasPrefix(line, "{") {
		return line
	}
	var entry map[string]any
	if json.Unmarshal([]byte(line), &entry) != nil {
		return line
	}
	text, _ := entry["@message"].(string)
	if text == "" {
		return line
	}
	if cause, ok := entry["error"].(string); ok {
		text += ": " + cause
	}
	return text
}

// copyLines reads lines until the end: all of them into the tail, and as many
// as the limits allow to the log. It never stops reading, so that a program
// that prints too much is not held up.
func copyLines(from io.Reader, keep *tail, to io.Writer) {
	reader := bufio.NewReaderSize(from, longestLine)
	budget := newBudget(time.Now())
	for {
		line, err := readLine(reader)
		if line != "" || err == nil {
			keep.add(line)
			switch left := budget.spend(time.Now()); {
			case left < 0:
			case left > 0:
				_, _ = fmt.Fprintf(to, "[WARN] %d lines left out\n%s\n", left, line)
			default:
				_, _ = io.WriteString(to, line+"\n")
			}
		}
		if err != nil {
			return
		}
	}
}

// readLine reads one line and drops what is too long of it.
func readLine(r *bufio.Reader) (string, error) {
	chunk, err := r.ReadSlice('\n')
	line := strings.ToValidUTF8(strings.TrimRight(string(chunk), "\r\n"), "\uFFFD")
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return line, err
}

// budget allows linesAtOnce and then linesASecond.
type budget struct {
	tokens  float64
	since   time.Time
	dropped int
}

func newBudget(now time.Time) *budget { return &budget{tokens: linesAtOnce, since: now} }

// spend says -1 for a line to drop, else how many were dropped before it.
func (b *budget) spend(now time.Time) int {
	b.tokens = min(linesAtOnce, b.tokens+now.Sub(b.since).Seconds()*linesASecond)
	b.since = now
	if b.tokens < 1 {
		b.dropped++
		return -1
	}
	b.tokens--
	dropped := b.dropped
	b.dropped = 0
	return dropped
}
