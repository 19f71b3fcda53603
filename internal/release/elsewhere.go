// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/tfdelivery/terraform-provider-delivery/internal/archive"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

// Bounds of what is fetched.
const (
	maxElsewhere  = 16 << 30 // bytes
	quietLimit    = time.Minute
	headerTimeout = 30 * time.Second
)

// builtElsewhere is the part of the definition that names bytes built
// elsewhere; nil when the pipeline builds them.
func builtElsewhere(d pipeline.Definition) *pipeline.Artifact {
	if d.Artifact == nil || d.Artifact.URL == "" {
		return nil
	}
	return &pipeline.Artifact{URL: d.Artifact.URL, SHA256: d.Artifact.SHA256}
}

// elsewhere is the digest of what was built elsewhere, which the definition
// gives.
func elsewhere(d pipeline.Definition) (string, error) {
	if builtElsewhere(d) == nil {
		return "", errors.New("the pipeline has neither a source nor an artifact that was built elsewhere")
	}
	return "sha256:" + strings.TrimPrefix(d.Artifact.SHA256, "sha256:"), nil
}

// fetchElsewhere downloads an archive (tar, plain or compressed by gzip or
// zstd), verifies it and unpacks it into tree, from where it is packed like
// every release.
func (b *build) fetchElsewhere(ctx context.Context, tree string) error {
	path := filepath.Join(b.dir, "elsewhere")
	b.logf("fetching the artifact of release %s", b.planned.ID)
	got, err := download(ctx, b.definition.Artifact.URL, path)
	if err != nil {
		return &Problem{"pipeline", "The artifact cannot be fetched", err.Error()}
	}
	if got != b.planned.Content {
		return &Problem{"pipeline", "The artifact is another one", fmt.Sprintf(
			"What %s gives has the digest %s, and the pipeline names %s. Check both with whoever built it.", sourceURL(b.definition), got, b.planned.Content)}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unpack(ctx, f, tree); err != nil {
		return &Problem{"pipeline", "The artifact cannot be unpacked", fmt.Sprintf("%s: %v. It must be a tar archive, plain or compressed by gzip or zstd.", sourceURL(b.definition), err)}
	}
	return nil
}

func download(ctx context.Context, from, to string) (digest string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(quietLimit, cancel)
	defer watchdog.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", errors.New("the artifact's URL cannot be read") // the error tells it, with all it holds
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTimeout
	transport.DisableCompression = true
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 5 || via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return fmt.Errorf("refused the redirect to %s", req.URL.Host)
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may be signed
		}
		if strings.Contains(err.Error(), "Location header") {
			err = errors.New("it redirects to what is no URL") // which may be signed as well
		}
		return "", fmt.Errorf("get it from %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(resp.Body, maxElsewhere+1), sum)
	size, err := io.Copy(f, readerFunc(func(p []byte) (int, error) {
		watchdog.Reset(quietLimit)
		return body.Read(p)
	}))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("get it from %s: %w", req.URL.Host, err)
	}
	if size > maxElsewhere {
		return "", fmt.Errorf("what %s sends has more than %d GiB", req.URL.Host, maxElsewhere>>30)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// unpack accepts the archives that others write. What package archive reads is
// zstd, so anything else is compressed on the way, as fast as possible.
func unpack(ctx context.Context, from io.Reader, tree string) error {
	buffered := bufio.NewReaderSize(from, 1<<20)
	magic, err := buffered.Peek(4)
	if err != nil {
		return errors.New("it is too short to be an archive")
	}
	var plain io.Reader = buffered
	switch {
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return archive.Unpack(ctx, buffered, tree, archive.Limits{})
	case bytes.Equal(magic[:2], []byte{0x1f, 0x8b}):
		if plain, err = gzip.NewReader(buffered); err != nil {
			return err
		}
	}
	read, write := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		encoder, err := zstd.NewWriter(write, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err == nil {
			_, err = io.Copy(encoder, plain)
			err = errors.Join(err, encoder.Close())
		}
		write.CloseWithError(err)
	}()
	err = archive.Unpack(ctx, read, tree, archive.Limits{})
	read.CloseWithError(errors.New("unpacking ended"))
	<-packed
	return err
}
