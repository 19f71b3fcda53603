// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// shortLine is the round trip, as an answer of the server shows it, up to
	// which a line is short.
	shortLine = 15 * time.Millisecond
	// Where the kernel says that the other end is as near as kernelNear, a slow
	// answer is that of a busy host, up to nearLine. What the kernel cannot see is
	// a line behind the other end: of a proxy, say.
	kernelNear = 5 * time.Millisecond
	nearLine   = 40 * time.Millisecond
	// promptAnswer is what at least one of the first answers has to take at most
	// for the pace to be kept on a line that is not known to be near.
	promptAnswer = 8 * time.Millisecond
	firstAnswers = 4
	// step is how much is sent before the server has to have taken the step
	// before, in bytes.
	step = 32 << 10
)

// newPace gives the pace for input on this connection; nil: none is needed.
func (c *Conn) newPace(channel ssh.Channel) *pace {
	short, prompt := shortLine, promptAnswer
	if rtt, known := kernelLatency(c.raw); known && rtt < kernelNear {
		short, prompt = nearLine, nearLine
	}
	if c.Latency() >= short {
		return nil
	}
	return &pace{channel: channel, prompt: prompt}
}

// pace keeps a server from being sent input faster than it passes it on:
// OpenSSH puts what is ahead aside in a buffer that it grows in small steps,
// each with a copy and a wipe, which costs it more than the rest of a transfer.
// After every step it is asked something that it does not know, which it
// answers all the same, in turn; the next step is on its way meanwhile. On a
// long line the waiting would cost more than it saves. (docs/design/performance.md)
type pace struct {
	channel ssh.Channel
	prompt  time.Duration // see promptAnswer
	sent    int           // since the last question
	pending chan answer   // to the last question; nil: none was asked
	answers int
	fastest time.Duration
	off     bool
}

type answer struct {
	took time.Duration
	err  error
}

func (p *pace) Write(data []byte) (int, error) {
	written := 0
	for len(data) > 0 {
		if p.off {
			n, err := p.channel.Write(data)
			return written + n, err
		}
		part := data[:min(len(data), step-p.sent)]
		n, err := p.channel.Write(part)
		written += n
		if err != nil {
			return written, err
		}
		data = data[n:]
		if p.sent += n; p.sent < step {
			continue
		}
		if err := p.ask(); err != nil {
			return written, err
		}
	}
	return written, nil
}

// ask waits for the answer to the question before, and puts the next one.
func (p *pace) ask() error {
	p.sent = 0
	if p.pending != nil {
		got := <-p.pending
		if got.err != nil {
			return got.err
		}
		if p.answers++; p.answers == 1 || got.took < p.fastest {
			p.fastest = got.took
		}
		if p.answers == firstAnswers && p.fastest > p.prompt {
			p.off = true
			return nil
		}
	}
	pending := make(chan answer, 1)
	p.pending = pending
	begun := time.Now()
	go func() {
		_, err := p.channel.SendRequest("pace@tfdelivery", true, nil)
		pending <- answer{time.Since(begun), err}
	}()
	return nil
}
