// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/singleflight"
)

// remote is one pipeline's repository in a registry.
type remote struct {
	at     Location
	client *client
	repo   string

	downloads singleflight.Group
	mu        sync.Mutex
	fetched   map[string]file // by digest: the newest verified download
	unlinked  bool            // the registry has no referrers API
}

type file struct {
	path string
	info fs.FileInfo
}

func newRemote(at Location, pipeline string, l login) (*remote, error) {
	return newLimitedRemote(at, pipeline, l, newTransport(), defaultLimits)
}

func newLimitedRemote(at Location, pipeline string, l login, inner http.RoundTripper, limits limits) (*remote, error) {
	repo, err := at.repository(pipeline)
	if err != nil {
		return nil, err
	}
	return &remote{
		at: at, repo: repo.String(), fetched: map[string]file{},
		client: &client{
			repo: repo, login: l, limits: limits, logins: map[string]http.RoundTripper{},
			base: &guard{inner: inner, at: at, limits: limits},
		},
	}, nil
}

func (r *remote) reference(digest string) string { return r.repo + "@" + digest }

func (r *remote) manifest(ctx context.Context, tag string) (content, error) {
	m, err := r.getManifest(ctx, pull, tag)
	return m, r.access(false, err)
}

func (r *remote) getManifest(ctx context.Context, scope, tag string) (content, error) {
	resp, err := r.client.do(ctx, call{
		scope: scope, method: http.MethodGet, url: "/manifests/" + tag,
		header: http.Header{"Accept": {manifestType}},
	})
	if statusOf(err) == http.StatusNotFound {
		return content{}, ErrNotFound
	}
	if err != nil {
		return content{}, err
	}
	data, err := read(resp)
	if err != nil {
		return content{}, err
	}
	return newContent(manifestType, data), nil
}

func (r *remote) blob(ctx context.Context, d descriptor) ([]byte, error) {
	data, err := r.getBlob(ctx, pull, d)
	return data, r.access(false, err)
}

func (r *remote) getBlob(ctx context.Context, scope string, d descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, corrupt("%s has %d bytes, too many for what it is", r.reference(d.Digest), d.Size)
	}
	resp, err := r.client.do(ctx, call{scope: scope, method: http.MethodGet, url: "/blobs/" + d.Digest})
	if statusOf(err) == http.StatusNotFound {
		return nil, r.gone(d)
	}
	if err != nil {
		return nil, err
	}
	data, err := read(resp)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != d.Size || digestOf(data) != d.Digest {
		return nil, corrupt("the registry sent something else for %s", r.reference(d.Digest))
	}
	return data, nil
}

func (r *remote) gone(d descriptor) error {
	return corrupt("the registry has lost %s: delete the release's tag there and make it again", r.reference(d.Digest))
}

// tags lists page by page.
func (r *remote) tags(ctx context.Context) ([]string, error) {
	var tags []string
	next := "/tags/list?n=1000"
	for pages := 0; next != ""; pages++ {
		if pages == maxTags/100 || len(tags) > maxTags {
			return nil, corrupt("the registry's list of tags does not end")
		}
		resp, err := r.client.do(ctx, call{scope: pull, method: http.MethodGet, url: next})
		if statusOf(err) == http.StatusNotFound {
			return nil, nil
		}
		if err != nil {
			return nil, r.access(false, err)
		}
		data, err := read(resp)
		if err != nil {
			return nil, r.access(false, err)
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := decodeStrict(data, &page); err != nil {
			return nil, corrupt("the registry's list of tags is not readable: %v", err)
		}
		tags = append(tags, page.Tags...)
		if next, err = nextPage(resp); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// nextPage reads the Link header (RFC 5988), which must stay with the registry.
func nextPage(resp *http.Response) (string, error) {
	link := resp.Header.Get("Link")
	if link == "" {
		return "", nil
	}
	start, end := strings.IndexByte(link, '<'), strings.IndexByte(link, '>')
	if start != 0 || end < 0 {
		return "", corrupt("the registry's list of tags goes on at %.100q", link)
	}
	u, err := resp.Request.URL.Parse(link[1:end])
	if err != nil || u.Host != resp.Request.URL.Host || u.Scheme != resp.Request.URL.Scheme {
		return "", corrupt("the registry's list of tags goes on at %.100q", link)
	}
	return u.String(), nil
}

// file downloads a blob, once at a time. Another directory gets a link to what
// was downloaded before, where that is possible.
func (r *remote) file(ctx context.Context, d descriptor, dir string) (string, error) {
	path := filepath.Join(dir, strings.TrimPrefix(d.Digest, "sha256:"))
	for {
		leading := false
		done := r.downloads.DoChan(path, func() (any, error) {
			leading = true
			return nil, r.download(ctx, d, path)
		})
		select {
		case result := <-done:
			if result.Err == nil {
				return path, nil
			}
			// Somebody else's download that was cancelled says nothing about ours.
			if leading || ctx.Err() != nil || !errors.Is(result.Err, context.Canceled) && !errors.Is(result.Err, context.DeadlineExceeded) {
				return "", r.access(false, result.Err)
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (r *remote) download(ctx context.Context, d descriptor, path string) error {
	r.mu.Lock()
	before, known := r.fetched[d.Digest]
	r.mu.Unlock()
	if info, err := os.Lstat(before.path); known && err == nil && unchanged(before.info, info) {
		if before.path == path || os.Link(before.path, path) == nil {
			return nil
		}
	}
	info, err := again(ctx, r.client.limits, func() (fs.FileInfo, error) {
		if err := r.downloadOnce(ctx, d, path); err != nil {
			return nil, err
		}
		return os.Lstat(path)
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.fetched[d.Digest] = file{path, info}
	r.mu.Unlock()
	return nil
}

func (r *remote) downloadOnce(ctx context.Context, d descriptor, path string) (err error) {
	resp, err := r.client.do(ctx, call{scope: pull, method: http.MethodGet, url: "/blobs/" + url.PathEscape(d.Digest), unbounded: true, once: true})
	if statusOf(err) == http.StatusNotFound {
		return r.gone(d)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.CreateTemp(filepath.Dir(path), ".download-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	digest, size, err := hashCopy(ctx, f, io.LimitReader(resp.Body, d.Size+1))
	if err = errors.Join(err, f.Chmod(0o444), f.Close()); err != nil {
		return err
	}
	if digest != d.Digest || size != d.Size {
		return corrupt("the registry sent something else for %s", r.reference(d.Digest))
	}
	return os.Rename(f.Name(), path)
}

func (r *remote) writable(ctx context.Context) error {
	resp, err := r.client.do(ctx, call{scope: push, method: http.MethodPost, url: "/blobs/uploads/", body: bytesBody(nil)})
	if err != nil {
		return r.access(true, err)
	}
	discard(resp)
	// The upload that was begun is given back; a registry that does not know
	// how forgets it by itself.
	if at, err := uploadLocation(resp); err == nil {
		resp, err = r.client.do(ctx, call{scope: push, method: http.MethodDelete, url: at, once: true})
		if err == nil {
			discard(resp)
		}
	}
	return ctx.Err()
}

// uploadLocation is where an upload goes on.
func uploadLocation(resp *http.Response) (string, error) {
	u, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return "", corrupt("the registry does not say where the upload goes on")
	}
	from := resp.Request.URL.Hostname()
	if to := u.Hostname(); to != from && loopback(to) {
		return "", fmt.Errorf("refused to send the upload to %s, where the registry wants it", to)
	}
	return u.String(), nil
}
