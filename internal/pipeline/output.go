// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

const (
	defaultOutputLimit = 4 << 20
	tailLines          = 20
	maxLine            = 400 // bytes of a line in an error
)

// output keeps a stage's output in a file: all of it up to a limit, else its
// beginning and its end. Known secrets never reach the file. It is safe for
// concurrent use.
type output struct {
	mu    sync.Mutex
	file  *os.File
	clean *redactor
	kept  *headAndTail
}

func newOutput(path string, limit int64, secrets map[string]string) (*output, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the output: %w", err)
	}
	if limit <= 0 {
		limit = defaultOutputLimit
	}
	kept := &headAndTail{w: file, head: limit / 2, most: int(limit - limit/2)}
	return &output{file: file, kept: kept, clean: newRedactor(kept, secrets)}, nil
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.clean.Write(p)
}

// Close completes the file.
func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.clean.Close(), o.kept.Close(), o.file.Close())
}

// lastLines gives the end of the output, for an error. It is called after
// Close.
func (o *output) lastLines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return lastLines(o.kept.last())
}

// headAndTail writes the first bytes through and keeps the last ones to write
// at the end.
type headAndTail struct {
	w    io.Writer
	head int64  // bytes that still go through
	most int    // bytes of the end to keep
	end  []byte // at most 2 × most; its last most bytes count
	gone int64
	tail []byte // the last bytes that went through, for last
}

func (h *headAndTail) Write(p []byte) (int, error) {
	size := len(p)
	if n := min(int64(len(p)), h.head); n > 0 {
		if _, err := h.w.Write(p[:n]); err != nil {
			return 0, err
		}
		h.tail = append(h.tail, p[:n]...)
		h.tail = keepLast(h.tail, tailLines*maxLine)
		h.head -= n
		p = p[n:]
	}
	if over := len(p) - h.most; over > 0 {
		h.gone += int64(len(h.end) + over)
		h.end, p = h.end[:0], p[over:]
	}
	h.end = append(h.end, p...)
	if over := len(h.end) - h.most; over >= h.most {
		h.gone += int64(over)
		h.end = append(h.end[:0], h.end[over:]...)
	}
	return size, nil
}

func keepLast(b []byte, most int) []byte {
	if over := len(b) - most; over >= most {
		b = append(b[:0], b[over:]...)
	}
	return b
}

// Close writes the end, and how much is missing before it.
func (h *headAndTail) Close() error {
	if over := len(h.end) - h.most; over > 0 {
		h.gone += int64(over)
		h.end = h.end[over:]
	}
	if h.gone > 0 {
		if _, err := fmt.Fprintf(h.w, "\n… %d bytes left out …\n", h.gone); err != nil {
			return err
		}
	}
	_, err := h.w.Write(h.end)
	return err
}

func (h *headAndTail) last() []byte {
	if len(h.end) >= tailLines*maxLine {
		return h.end
	}
	return append(append([]byte{}, h.tail...), h.end...)
}

// escapes are what terminals take for colours and movements.
var escapes = lazyregexp.New("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)|[@-Z\\\\-_])")

func lastLines(data []byte) []string {
	if over := len(data) - 4*tailLines*maxLine; over > 0 {
		data = data[over:]
	}
	var lines []string
	for line := range strings.SplitSeq(escapes.ReplaceAllString(string(data), ""), "\n") {
		if line = printable(line, maxLine); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-tailLines):]
}

// printable makes a line fit for an error: what a carriage return overwrote and
// control characters go, tabs become spaces, and so does too much length.
func printable(line string, limit int) string {
	line = strings.TrimRight(line, "\r ")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	line = strings.ToValidUTF8(line, "�")
	if len(line) > limit {
		for limit > 0 && !utf8.RuneStart(line[limit]) {
			limit--
		}
		line = line[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, line)
}
