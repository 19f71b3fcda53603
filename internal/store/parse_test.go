// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseLocation(t *testing.T) {
	t.Parallel()
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]Location{
		".delivery/store":               {Directory: filepath.Join(work, ".delivery", "store")},
		"./x":                           {Directory: filepath.Join(work, "x")},
		"../x":                          {Directory: filepath.Join(filepath.Dir(work), "x")},
		"/srv/store/":                   {Directory: "/srv/store"},
		"~/store":                       {Directory: filepath.Join(home, "store")},
		"registry.acme.io":              {Host: "registry.acme.io"},
		"registry.acme.io/shop":         {Host: "registry.acme.io", Prefix: "shop"},
		"registry.acme.io/a/b-c_d/":     {Host: "registry.acme.io", Prefix: "a/b-c_d"},
		"https://registry.acme.io/shop": {Host: "registry.acme.io", Prefix: "shop"},
		"oci://registry.acme.io/shop":   {Host: "registry.acme.io", Prefix: "shop"},
		"http://registry.acme.io/shop":  {Host: "registry.acme.io", Prefix: "shop", PlainHTTP: true},
		"10.0.0.7:5000/shop":            {Host: "10.0.0.7:5000", Prefix: "shop"},
		"localhost/shop":                {Host: "localhost", Prefix: "shop", PlainHTTP: true},
		"localhost:5000":                {Host: "localhost:5000", PlainHTTP: true},
		"127.0.0.2:5000/x":              {Host: "127.0.0.2:5000", Prefix: "x", PlainHTTP: true},
		"[::1]:5000/x":                  {Host: "[::1]:5000", Prefix: "x", PlainHTTP: true},
		"http://registry/shop":          {Host: "registry", Prefix: "shop", PlainHTTP: true},
	} {
		got, err := ParseLocation(location)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", location, got, err)
			continue
		}
		if again, err := ParseLocation(got.String()); err != nil || again != got {
			t.Errorf("%s is written %s: %+v, %v", location, got, again, err)
		}
		if got.Host != "" {
			if repo, err := got.repository("shop"); err != nil || repo.RegistryStr() != got.Host {
				t.Errorf("%s: repository %v, %v", location, repo, err)
			}
		}
	}
	for location, says := range map[string]string{
		"":                                 "is empty",
		"store":                            `write "./store" for the directory`,
		"acme/shop":                        `write "./acme/shop" for the directory`,
		"ftp://registry.acme.io":           "scheme",
		"https://ci:pw@registry.acme.io/x": "registry block",
		"registry.acme.io/Shop":            "lower-case",
		"registry.acme.io/a//b":            "lower-case",
		"registry.acme.io/../x":            "lower-case",
		"registry.acme.io:port/x":          "not the host",
		"reg istry.acme.io/x":              "not the host",
		"registry.acme.io/x\x00":           "printed",
		strings.Repeat("a.", 600):          "too long",
	} {
		if got, err := ParseLocation(location); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %+v, %v", location, got, err)
		}
	}
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{".delivery/store", "registry.acme.io/shop", "http://10.0.0.7:5000", "a@b/c", "[::1]:5000", "C:\\x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseLocation(s)
		if err != nil || at.Host == "" {
			return
		}
		if again, err := ParseLocation(at.String()); err != nil || again != at {
			t.Errorf("%q is %+v and %+v: %v", s, at, again, err)
		}
	})
}

func TestRecordCheck(t *testing.T) {
	t.Parallel()
	_, a := artifactFile(t, []byte("x"))
	good := record("shop", "1.5.0", a)
	good.Schema = RecordSchema
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Record){
		"newer version of the provider": func(r *Record) { r.Schema = 2 },
		"name of a pipeline":            func(r *Record) { r.Pipeline = "Shop" },
		"semantic version":              func(r *Record) { r.Version = "x" },
		"either a commit":               func(r *Record) { r.Content = definitionA },
		"or the digest":                 func(r *Record) { r.Commit = "" },
		"is not a commit":               func(r *Record) { r.Commit = "main" },
		"content's digest":              func(r *Record) { r.Commit, r.Content = "", "x" },
		"definition's digest":           func(r *Record) { r.Definition = "" },
		"artifact's digest":             func(r *Record) { r.Artifact.Digest = "md5:x" },
		"diff id":                       func(r *Record) { r.Artifact.DiffID = "x" },
		"media type":                    func(r *Record) { r.Artifact.MediaType = "zip" },
		"negative":                      func(r *Record) { r.Artifact.Size = -1 },
		"not printable":                 func(r *Record) { r.Ref = "a\nb" },
	} {
		r := good
		change(&r)
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	_, a := artifactFile(f, []byte("x"))
	good := record("shop", "1.5.0+b", a)
	good.Schema = RecordSchema
	data, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"schema":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data)
		if err != nil {
			return
		}
		config, _, err := releaseManifest(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseRecord(config.data); err != nil || again != r {
			t.Errorf("%+v became %+v: %v", r, again, err)
		}
	})
}

func FuzzManifest(f *testing.F) {
	_, a := artifactFile(f, []byte("x"))
	r := record("shop", "1.5.0", a)
	_, m, err := releaseManifest(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data, ReleaseType)
		if err == nil && (len(m.Layers) == 0 || !digestPattern.MatchString(m.Config.Digest) || m.Config.Size > maxConfig) {
			t.Errorf("%+v", m)
		}
	})
}

func FuzzIndex(f *testing.F) {
	full, err := (&index{}).with("1.5.0", descriptor{MediaType: manifestType, Digest: definitionA, Size: 5}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"x"},{},null,7]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseIndex(data)
		if err != nil {
			return
		}
		written, err := x.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseIndex(written)
		if err != nil || !maps.EqualFunc(x.tags, again.tags, func(a, b descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size }) || len(x.others) != len(again.others) {
			t.Errorf("%s became %s: %v", data, written, err)
		}
	})
}
