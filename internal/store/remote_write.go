// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
)

// update writes at once: each step is harmless alone, and the tag comes last.
func (r *remote) update(ctx context.Context, change func(transaction) error) error {
	return r.access(true, change(remoteTx{r}))
}

type remoteTx struct{ r *remote }

func (t remoteTx) manifest(ctx context.Context, tag string) (content, error) {
	return t.r.getManifest(ctx, push, tag)
}

func (t remoteTx) blob(ctx context.Context, d descriptor) ([]byte, error) {
	return t.r.getBlob(ctx, push, d)
}

func (t remoteTx) put(ctx context.Context, c content) error {
	return t.r.upload(ctx, c.descriptor, bytesBody(c.data))
}

func (t remoteTx) putFile(ctx context.Context, d descriptor, path string) error {
	digest, size, err := hashFile(ctx, path)
	if err != nil {
		return err
	}
	if digest != d.Digest || size != d.Size {
		return fmt.Errorf("%s is not the file it was: it should have %d bytes and the digest %s", path, d.Size, d.Digest)
	}
	return t.r.upload(ctx, d, func() (io.ReadCloser, error) { return os.Open(path) })
}

// upload sends a blob unless the registry has it. The registry checks the
// digest itself.
func (r *remote) upload(ctx context.Context, d descriptor, body func() (io.ReadCloser, error)) error {
	_, err := again(ctx, r.client.limits, func() (sent bool, err error) {
		resp, err := r.client.do(ctx, call{scope: push, method: http.MethodHead, url: "/blobs/" + d.Digest, once: true})
		discard(resp)
		if statusOf(err) != http.StatusNotFound {
			return false, err
		}
		return true, r.uploadOnce(ctx, d, body)
	})
	return err
}

func (r *remote) uploadOnce(ctx context.Context, d descriptor, body func() (io.ReadCloser, error)) error {
	binary := http.Header{"Content-Type": {"application/octet-stream"}}
	begun, err := r.client.do(ctx, call{scope: push, method: http.MethodPost, url: "/blobs/uploads/", body: bytesBody(nil), once: true})
	if err != nil {
		return err
	}
	discard(begun)
	at, err := uploadLocation(begun)
	if err != nil {
		return err
	}
	sent, err := r.client.do(ctx, call{scope: push, method: http.MethodPatch, url: at, header: binary, body: body, size: d.Size, once: true})
	if err != nil {
		return err
	}
	discard(sent)
	if at, err = uploadLocation(sent); err != nil {
		return err
	}
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	query := u.Query()
	query.Set("digest", d.Digest)
	u.RawQuery = query.Encode()
	committed, err := r.client.do(ctx, call{scope: push, method: http.MethodPut, url: u.String(), header: binary, body: bytesBody(nil), once: true})
	discard(committed)
	return err
}

// tag: a registry cannot put a tag on condition, so look, put, look again.
// What is found last counts, even after an error: a registry with immutable
// tags refuses the slower one of two.
func (t remoteTx) tag(ctx context.Context, tag string, m content) (content, error) {
	there, err := t.manifest(ctx, tag)
	if !errors.Is(err, ErrNotFound) {
		return there, err
	}
	failed := t.r.putManifest(ctx, tag, m)
	if ctx.Err() != nil {
		return content{}, ctx.Err()
	}
	there, err = t.manifest(ctx, tag)
	if failed != nil && err != nil {
		return content{}, failed
	}
	if errors.Is(err, ErrNotFound) {
		return content{}, fmt.Errorf("the registry took the tag %s and does not know it now", tag)
	}
	return there, err
}

func (r *remote) putManifest(ctx context.Context, ref string, m content) error {
	resp, err := r.client.do(ctx, call{
		scope: push, method: http.MethodPut, url: "/manifests/" + ref,
		header: http.Header{"Content-Type": {manifestType}}, body: bytesBody(m.data), size: m.Size,
	})
	discard(resp)
	return err
}

// linked puts the release's manifest by its digest, whose tag comes later, and
// asks who refers to it. A registry that does not know the question is written
// no more to; one that knows it must then list what is written.
func (t remoteTx) linked(ctx context.Context, release, evidence content) (bool, error) {
	r := t.r
	r.mu.Lock()
	unlinked := r.unlinked
	r.mu.Unlock()
	if unlinked {
		return false, nil
	}
	if err := r.putManifest(ctx, release.Digest, release); err != nil {
		return false, err
	}
	listed := r.listed(ctx, release, evidence)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if !listed {
		r.mu.Lock()
		r.unlinked = true
		r.mu.Unlock()
	}
	return listed, nil
}

// listed puts the evidence where there is a referrers API, and tells whether
// that lists it then.
func (r *remote) listed(ctx context.Context, release, evidence content) bool {
	return r.refers(ctx, release.Digest, "") &&
		r.putManifest(ctx, evidence.Digest, evidence) == nil &&
		r.refers(ctx, release.Digest, evidence.Digest)
}

// refers tells whether the registry lists what refers to a manifest, and the
// digest among that if one is given. A registry that fails to does not.
func (r *remote) refers(ctx context.Context, subject, digest string) bool {
	resp, err := r.client.do(ctx, call{scope: push, method: http.MethodGet, url: "/referrers/" + subject})
	if err != nil {
		return false
	}
	data, err := read(resp)
	if err != nil {
		return false
	}
	var list struct {
		MediaType string       `json:"mediaType"`
		Manifests []descriptor `json:"manifests"`
	}
	if decodeStrict(data, &list) != nil || list.MediaType != indexType {
		return false
	}
	return digest == "" || slices.ContainsFunc(list.Manifests, func(d descriptor) bool { return d.Digest == digest })
}
