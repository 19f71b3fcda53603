// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/tfdelivery/terraform-provider-delivery/internal/pipeline"
)

func tarball(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestElsewhere: a pipeline can name what was built elsewhere.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	plain := tarball(t, map[string]string{"app/run": "x", "README": "y"})
	var gzipped, zstded bytes.Buffer
	gz := gzip.NewWriter(&gzipped)
	if _, err := gz.Write(plain); err != nil || gz.Close() != nil {
		t.Fatal(err)
	}
	zs, err := zstd.NewWriter(&zstded)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zs.Write(plain); err != nil || zs.Close() != nil {
		t.Fatal(err)
	}
	evil := tarball(t, map[string]string{"../evil": "x"})
	bodies := map[string][]byte{"/plain": plain, "/gzip": gzipped.Bytes(), "/zstd": zstded.Bytes(), "/other": []byte("not an archive at all"), "/short": {1}, "/cut": gzipped.Bytes()[:50], "/evil": evil}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/astray" {
			w.Header().Set("Location", "http://[::1/?sig=s3cret")
			w.WriteHeader(http.StatusFound)
			return
		}
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	sum := func(name string) string { return digest(string(bodies[name])) }
	r := newRig(t, filepath.Join(t.TempDir(), "store"))
	definition := func(name, sha256 string) pipeline.Definition {
		return pipeline.Definition{Name: "shop" + strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(name), Artifact: &pipeline.Artifact{
			URL: server.URL + name, SHA256: strings.TrimPrefix(sha256, "sha256:"), Exclude: []string{"README"},
		}}
	}
	for _, name := range []string{"/plain", "/gzip", "/zstd"} {
		d := definition(name, sum(name))
		p := r.plan(t, d, "", "", Prior{})
		if p.Content != sum(name) || !strings.HasPrefix(p.Version, "0.0.0-artifact.") {
			t.Errorf("%+v", p)
		}
		made := r.make(t, d, p)
		if files := r.unpacked(t, made.Release); len(files) != 1 || files["app/run"] != "x" {
			t.Errorf("%s: %v", name, files)
		}
	}
	for name, c := range map[string]struct{ sum, says string }{
		"/plain":   {sum("/gzip"), "digest"},
		"/nowhere": {sum("/gzip"), "404"},
		"/other":   {sum("/other"), "must be a tar archive"},
		"/short":   {sum("/short"), "too short"},
		"/cut":     {sum("/cut"), "cannot be unpacked"},
		"/evil":    {sum("/evil"), "cannot be unpacked"},
		"/astray":  {sum("/evil"), "redirects to what is no URL"},
		// What is in a query may be for its user only.
		"/plain?user=s3cret": {sum("/gzip"), "digest"},
		"/other?user=s3cret": {sum("/other"), "must be a tar archive"},
	} {
		d := definition(name, c.sum)
		d.Name += "-bad"
		_, err := r.Make(context.Background(), d, r.plan(t, d, "", "", Prior{}))
		if err == nil || !strings.Contains(err.Error(), c.says) || AsProblem(err).Attribute != "pipeline" || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
