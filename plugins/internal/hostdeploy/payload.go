// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	// inMemory is the size of an unpacked artifact up to which it is kept in
	// memory for all machines; a larger one waits in a temporary file.
	inMemory     = 16 << 20
	maxWindow    = 32 << 20 // memory that an artifact's compression may ask for
	maxEntries   = 500_000
	maxUnpacked  = 64 << 30
	keptPayloads = 2
)

// payload is an artifact unpacked from its compression, verified whole, as a
// tar that any host's tar reads, with the bounds of its entries.
type payload struct {
	content io.ReaderAt
	entries []int64 // where each begins; then the end
	whole   bool    // has hard links, which several tars at once would not find
	file    *os.File
	users   sync.WaitGroup
}

// size is the length of entry n with all its headers, in bytes.
func (p *payload) size(n int) int64 { return p.entries[n+1] - p.entries[n] }

func (p *payload) total() int64 { return p.entries[len(p.entries)-1] }

// payloads keeps the last few, since all machines get the same.
type payloads struct {
	mu   sync.Mutex
	kept []*kept
}

type kept struct {
	digest string
	once   sync.Once
	*payload
	err error
}

// open gives an artifact's payload, and what to call when it is no longer used.
func (ps *payloads) open(ctx context.Context, a deployer.Artifact, directory string) (*payload, func(), error) {
	ps.mu.Lock()
	var k *kept
	for _, have := range ps.kept {
		if have.digest == a.Digest+" "+a.Path {
			k = have
		}
	}
	if k == nil {
		k = &kept{digest: a.Digest + " " + a.Path}
		ps.kept = append(ps.kept, k)
		if len(ps.kept) > keptPayloads {
			go ps.kept[0].drop()
			ps.kept = ps.kept[1:]
		}
	}
	ps.mu.Unlock()
	k.once.Do(func() { k.payload, k.err = unpack(ctx, a, directory) })
	if k.err != nil {
		ps.forget(k)
		return nil, nil, k.err
	}
	k.users.Add(1)
	return k.payload, k.users.Done, nil
}

func (ps *payloads) forget(k *kept) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for n, have := range ps.kept {
		if have == k {
			ps.kept = append(ps.kept[:n:n], ps.kept[n+1:]...)
			return
		}
	}
}

func (ps *payloads) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, k := range ps.kept {
		go k.drop()
	}
	ps.kept = nil
}

// drop frees a payload once nobody reads it.
func (k *kept) drop() {
	k.once.Do(func() { k.err = errors.New("dropped") })
	if k.payload == nil {
		return
	}
	k.users.Wait()
	if k.file != nil {
		_ = k.file.Close()
		_ = os.Remove(k.file.Name())
	}
}

// unpack verifies an artifact and makes its payload.
func unpack(ctx context.Context, a deployer.Artifact, directory string) (*payload, error) {
	f, err := os.Open(a.Path)
	if err != nil {
		return nil, deployer.Errorf(deployer.CodeFailed, "the artifact cannot be read: %v", err)
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	in := io.TeeReader(&cancellable{ctx, f}, hash)
	spool := &spool{directory: directory}
	p, err := repack(in, spool)
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); err == nil && got != a.Digest {
		err = fmt.Errorf("its digest is %s and not %s: it was changed after it was made", got, a.Digest)
	}
	if err != nil {
		spool.discard()
		if ctx.Err() != nil {
			return nil, stopped(ctx)
		}
		return nil, &deployer.Error{Code: deployer.CodeFailed, Message: "the artifact is not good: " + err.Error(), Advice: "Make the release again."}
	}
	p.content, p.file = spool.content(), spool.file
	return p, nil
}

type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// repack reads a compressed tar with care and writes a plain one of only what
// is safe to unpack.
func repack(in io.Reader, out io.Writer) (*payload, error) {
	plain, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	source := tar.NewReader(plain)
	count := &counter{Writer: out}
	sink := tar.NewWriter(count)
	guard := newGuard()
	p := &payload{entries: []int64{0}}
	buffer := make([]byte, 128<<10)
	for {
		h, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		clean, err := guard.admit(h)
		if err != nil {
			return nil, err
		}
		if clean == nil {
			continue
		}
		if len(p.entries) > maxEntries || count.n+h.Size > maxUnpacked {
			return nil, fmt.Errorf("it has more than %d entries or %d GiB", maxEntries, maxUnpacked>>30)
		}
		if err := sink.WriteHeader(clean); err != nil {
			return nil, fmt.Errorf("%q: %w", h.Name, err)
		}
		if _, err := io.CopyBuffer(onlyWriter{sink}, onlyReader{io.LimitReader(source, clean.Size)}, buffer); err != nil {
			return nil, err
		}
		if err := sink.Flush(); err != nil {
			return nil, fmt.Errorf("%q: %w", h.Name, err)
		}
		p.entries = append(p.entries, count.n)
		p.whole = p.whole || clean.Typeflag == tar.TypeLink
	}
	if _, err := io.CopyBuffer(io.Discard, onlyReader{plain}, buffer); err != nil {
		return nil, err
	}
	return p, nil
}

type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

// spool keeps what is written in memory, or in a file once it is large.
type spool struct {
	directory string
	memory    bytes.Buffer
	file      *os.File
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= inMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.directory, "artifact-*")
		if err != nil {
			return 0, err
		}
		s.file = f
		if _, err := f.Write(s.memory.Bytes()); err != nil {
			return 0, err
		}
		s.memory = bytes.Buffer{}
	}
	return s.file.Write(p)
}

func (s *spool) content() io.ReaderAt {
	if s.file != nil {
		return s.file
	}
	return bytes.NewReader(s.memory.Bytes())
}

func (s *spool) discard() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
