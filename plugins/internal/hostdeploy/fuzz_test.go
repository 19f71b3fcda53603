// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package hostdeploy

import (
	"archive/tar"
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// FuzzAnswer reads what a host says, in whatever pieces it comes.
func FuzzAnswer(f *testing.F) {
	f.Add("\nN:owner o\n\nN:revisions\n{\"id\":\"a\"}\n\nN 0\n")
	f.Add("noise\nN:release a complete\nN:service a supervised\nN:child 1 2 a\nN:exit 1 2 3 9\nN 1\n")
	f.Add("N:error locked\nN:holder {}\nN x\n")
	f.Add("N:current releases/..\nN:last_good\na\n{\"schema\":1,\"phase\":\"end\"}\nN 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		ans, err := readAnswer(bufio.NewReader(iotest.OneByteReader(strings.NewReader(text))), "N", func(string, string) {})
		if err != nil {
			return
		}
		s := &site{settings: &settings{}, host: host{id: "i"}, machine: newMachine(locally{}, ""), root: "/r", place: "p"}
		_, _ = s.judged(ans, nil)
		var o observation
		o.read(s, ans)
		state := aggregate([]observation{o, o})
		for _, i := range state.Instances {
			for _, slot := range i.Slots {
				if !revisionID.MatchString(slot.Revision.ID) && slot.Role == deployer.RoleRetired {
					t.Errorf("a slot of revision %q", slot.Revision.ID)
				}
			}
		}
		_ = hiding(ans)
	})
}

// FuzzLedger reads the lines of a ledger.
func FuzzLedger(f *testing.F) {
	f.Add("{\"schema\":1,\"phase\":\"begin\",\"Operation\":{\"id\":\"a\"},\"generation\":3}\n{\"schema\":1,\"phase\":\"end\"")
	f.Add("\n\n{}\nnull\n[]\n")
	f.Fuzz(func(_ *testing.T, text string) {
		entries := parseEntries(strings.Split(text, "\n"))
		merged := merge([][]deployer.Entry{entries, entries})
		_ = unfinished(merged)
		_ = failed(merged)
	})
}

// FuzzEnvironment writes values of all kinds and lets sh read them.
func FuzzEnvironment(f *testing.F) {
	f.Add("plain", "secret")
	f.Add("it's \"quoted\" \\ $x `y`\n\nexport A='b'\n# secrets\n", "'")
	f.Add("\x80\x81\x88\xff", "='")
	f.Fuzz(func(t *testing.T, value, secret string) {
		file, err := environmentFile(map[string]string{"VALUE": value}, map[string]string{"SECRET": secret})
		if strings.ContainsRune(value+secret, 0) {
			if err == nil {
				t.Error("NUL was accepted")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := exec.Command("/bin/sh", "-c", file+`printf '%s\001%s' "$VALUE" "$SECRET"`).Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := value + "\x01" + secret; string(got) != want {
			t.Errorf("sh reads %q, want %q", got, want)
		}
		if !strings.Contains(value, "# secrets") {
			if got := secretsIn(file); len(got) != 1 || got[0] != secret {
				t.Errorf("secretsIn gives %q, want %q", got, secret)
			}
		}
	})
}

// FuzzSecrets reads environment files of any content.
func FuzzSecrets(f *testing.F) {
	f.Add("export A='b'\n# secrets\nexport C='d'\\''e'\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_ = redacting(secretsIn(text)).line(text)
	})
}

// FuzzCallLine sends arguments of all kinds through a line that sh reads.
func FuzzCallLine(f *testing.F) {
	f.Add("a b", "it's\n$(x)")
	f.Fuzz(func(t *testing.T, a, b string) {
		line, err := callLine("printf '%s\\001'", a, b)
		if err != nil {
			return
		}
		if strings.Contains(line, "\n") {
			t.Fatalf("a newline in %q", line)
		}
		cmd := exec.Command("/bin/sh", "-c", "nl='\n'; IFS= read -r line; eval \"$line\"")
		cmd.Stdin = strings.NewReader(line + "\n")
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := a + "\x01" + b + "\x01"; string(got) != want {
			t.Errorf("sh reads %q, want %q", got, want)
		}
	})
}

// FuzzArtifact repacks archives of any content: what comes out stays within its
// directory.
func FuzzArtifact(f *testing.F) {
	seed := func(headers ...tar.Header) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			_ = w.WriteHeader(&h)
		}
		_ = w.Close()
		f.Add(compress(f, b.Bytes()))
		f.Add(b.Bytes())
	}
	seed(tar.Header{Name: "a/b", Typeflag: tar.TypeReg}, tar.Header{Name: "c", Linkname: "a/b", Typeflag: tar.TypeLink})
	seed(tar.Header{Name: "l", Linkname: "../..", Typeflag: tar.TypeSymlink}, tar.Header{Name: strings.Repeat("x/", 200), Typeflag: tar.TypeDir})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, packed := range [][]byte{data, compress(t, data)} {
			out := &spool{directory: t.TempDir()}
			p, err := repack(bytes.NewReader(packed), out)
			if err != nil {
				out.discard()
				continue
			}
			if !slices.IsSorted(p.entries) || p.total() != int64(out.memory.Len()) {
				t.Fatalf("entries %v of %d bytes", p.entries, out.memory.Len())
			}
			r := tar.NewReader(bytes.NewReader(out.memory.Bytes()))
			for {
				h, err := r.Next()
				if err == io.EOF { //nolint:errorlint // as documented
					break
				}
				if err != nil {
					t.Fatalf("what was written cannot be read: %v", err)
				}
				name := strings.TrimSuffix(h.Name, "/")
				if !localName(name) {
					t.Errorf("the name %q", h.Name)
				}
				if h.Typeflag == tar.TypeSymlink && (path.IsAbs(h.Linkname) || strings.HasPrefix(path.Join(path.Dir(name), h.Linkname), "..")) {
					t.Errorf("the link %q to %q", h.Name, h.Linkname)
				}
			}
		}
	})
}
