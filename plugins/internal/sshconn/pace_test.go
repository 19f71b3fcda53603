// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// line is a channel whose answers take some time.
type line struct {
	ssh.Channel
	got      bytes.Buffer
	asked    int
	answers  time.Duration
	lostSoon bool
}

func (l *line) Write(p []byte) (int, error) { return l.got.Write(p) }

func (l *line) SendRequest(string, bool, []byte) (bool, error) {
	<-time.After(l.answers)
	l.asked++
	if l.lostSoon {
		return false, errors.New("the connection was lost")
	}
	return false, nil
}

// A short line is asked after every step; a long one is left alone soon; and
// either way everything arrives, in order, however it is cut.
func TestPace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers     time.Duration
		atLeast, at int
	}{
		"short": {time.Millisecond, 30, 33},
		"long":  {50 * time.Millisecond, firstAnswers, firstAnswers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &line{answers: c.answers}
				p := &pace{channel: l, prompt: promptAnswer}
				var want bytes.Buffer
				for n := 0; want.Len() < 32*step; n++ {
					part := bytes.Repeat([]byte{byte(n)}, 1+n*7919%(3*step))
					want.Write(part)
					if got, err := p.Write(part); err != nil || got != len(part) {
						t.Fatalf("%d of %d bytes: %v", got, len(part), err)
					}
				}
				if !p.off {
					<-p.pending
				}
				if !bytes.Equal(l.got.Bytes(), want.Bytes()) {
					t.Error("what arrived is not what was written")
				}
				if steps := want.Len() / step; l.asked < c.atLeast || l.asked > max(c.at, steps) {
					t.Errorf("asked %d times for %d steps", l.asked, steps)
				}
			})
		})
	}
}

func TestPaceOnALostLine(t *testing.T) {
	t.Parallel()
	p := &pace{channel: &line{lostSoon: true}}
	if _, err := p.Write(make([]byte, 4*step)); err == nil {
		t.Error("nobody noticed that the connection was lost")
	}
}
