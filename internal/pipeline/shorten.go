// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
)

// shortener hands XML on byte by byte with every long run of text, character
// data or comment cut short, so that whoever parses it needs little memory. It
// counts lines as they are in the file.
type shortener struct {
	r     *bufio.Reader
	line  int
	state state
	run   int // bytes of the current tag or run of text
	quote byte
	// In a run of text: an entity such as &amp; is open; the rest is left out.
	entity, cut bool
	ready       []byte // to be handed on before anything else
}

type state int

const (
	inText state = iota
	inTag
	inCharacterData
	inComment
	inInstruction
)

// ReadByte implements io.ByteReader, which makes the decoder read no more than
// it needs.
func (s *shortener) ReadByte() (byte, error) {
	for {
		if len(s.ready) > 0 {
			b := s.ready[0]
			s.ready = s.ready[1:]
			return b, nil
		}
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b == '\n' {
			s.line++
		}
		if pass, err := s.step(b); pass || err != nil {
			return b, err
		}
	}
}

// Read implements io.Reader.
func (s *shortener) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// step says whether a byte is handed on.
func (s *shortener) step(b byte) (pass bool, err error) {
	s.run++
	switch s.state {
	case inTag:
		return true, s.tag(b)
	case inCharacterData:
		if b == ']' && s.follows("]>") {
			s.take(2)
			s.enter(inText)
			return true, nil
		}
	case inComment:
		if b == '-' && s.follows("->") {
			s.take(2)
			s.enter(inText)
			return true, nil
		}
	case inText:
		if b == '<' {
			return true, s.open()
		}
	case inInstruction:
		if b == '?' && s.follows(">") {
			s.take(1)
			s.enter(inText)
			return true, nil
		}
	}
	return s.short(b), nil
}

func (s *shortener) enter(next state) {
	s.state, s.run, s.quote, s.entity, s.cut = next, 0, 0, false, false
}

// open is called behind "<".
func (s *shortener) open() error {
	switch {
	case s.follows("![CDATA["):
		s.take(len("![CDATA["))
		s.enter(inCharacterData)
	case s.follows("!--"):
		s.take(len("!--"))
		s.enter(inComment)
	case s.follows("!"):
		return errors.New("it has a document type declaration, which reports do not need")
	case s.follows("?"):
		s.enter(inInstruction)
	default:
		s.enter(inTag)
	}
	return nil
}

func (s *shortener) tag(b byte) error {
	switch {
	case s.run > maxTag:
		return fmt.Errorf("a tag has more than %d bytes", maxTag)
	case s.quote != 0:
		if b == s.quote {
			s.quote = 0
		}
	case b == '"' || b == '\'':
		s.quote = b
	case b == '>':
		s.enter(inText)
	}
	return nil
}

// short passes the beginning of a run, to the end of a character or an entity.
func (s *shortener) short(b byte) bool {
	switch {
	case s.cut:
		return false
	case s.run > keepText:
		complete := b&0xc0 == 0x80 || s.entity && (b == ';' || entityByte(b))
		if !complete || s.run > keepText+16 {
			s.cut = true
			return false
		}
	}
	s.entity = b == '&' || s.entity && entityByte(b)
	return true
}

func entityByte(b byte) bool {
	return b == '#' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func (s *shortener) follows(text string) bool {
	next, _ := s.r.Peek(len(text))
	return bytes.Equal(next, []byte(text))
}

func (s *shortener) take(n int) {
	next, _ := s.r.Peek(n)
	s.ready = append(s.ready, next...)
	_, _ = s.r.Discard(n)
}
