// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// releaseFiles are the files of ours in a release.
func releaseFiles(s *settings, r deployer.Revision) ([]tarFile, error) {
	environment, err := environmentFile(r.Environment, r.Secrets)
	if err != nil {
		return nil, err
	}
	info, err := json.Marshal(r.RevisionInfo)
	if err != nil {
		return nil, deployer.Errorf(deployer.CodeInvalid, "revision: %v", err)
	}
	return []tarFile{
		{name: "environment", mode: 0o600, text: environment},
		{name: "revision.json", mode: 0o644, text: ascii(info) + "\n"},
		{name: "service", mode: 0o600, text: s.serviceFile()},
		{name: "supervise", mode: 0o755, text: supervisor},
		{name: "start", mode: 0o755, text: starter},
	}, nil
}

// serviceFile tells the scripts how the service is run.
func (s *settings) serviceFile() string {
	var b strings.Builder
	set := func(name, value string) { fmt.Fprintf(&b, "svc_%s=%s\n", name, quote(value)) }
	service := s.Service
	switch {
	case service == nil:
		set("kind", "none")
		return b.String()
	case service.Commands != nil:
		c := service.Commands
		set("kind", "commands")
		set("start", c.Start)
		set("stop", c.Stop)
		set("restart", c.Restart)
		set("status", c.Status)
	default:
		set("kind", "supervised")
		set("start", service.Command)
	}
	set("signal", strings.TrimPrefix(cmp.Or(service.StopSignal, "TERM"), "SIG"))
	set("timeout", seconds(s.stopTimeout))
	return b.String()
}

type tarFile struct {
	name string // within .delivery
	mode int64
	text string
}

// tarStream is one tar, and its length in bytes.
type tarStream struct {
	io.Reader
	size int64
}

// streams divides a release into tars of about the same size. Each ends with a
// file that says that it is whole; the first has the files of ours.
func streams(p *payload, files []tarFile, count int) ([]tarStream, error) {
	parts := divide(p, count)
	var out []tarStream
	for n, entries := range parts {
		var head bytes.Buffer
		w := tar.NewWriter(&head)
		var err error
		write := func(h *tar.Header, text string) {
			if err == nil {
				if err = w.WriteHeader(h); err == nil {
					_, err = io.WriteString(w, text)
				}
			}
		}
		write(&tar.Header{Name: metaDir + "/", Typeflag: tar.TypeDir, Mode: 0o755, Format: tar.FormatGNU}, "")
		if n == 0 {
			for _, f := range files {
				write(&tar.Header{Name: metaDir + "/" + f.name, Typeflag: tar.TypeReg, Mode: f.mode, Size: int64(len(f.text)), Format: tar.FormatGNU}, f.text)
			}
		}
		if err == nil {
			err = w.Flush()
		}
		start := head.Len()
		write(&tar.Header{Name: metaDir + "/part-" + strconv.Itoa(n+1), Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatGNU}, "")
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return nil, deployer.Errorf(deployer.CodeFailed, "the upload cannot be written: %v", err)
		}
		readers := []io.Reader{bytes.NewReader(head.Bytes()[:start])}
		size := int64(head.Len())
		for _, r := range entries {
			readers = append(readers, io.NewSectionReader(p.content, r.begin, r.end-r.begin))
			size += r.end - r.begin
		}
		readers = append(readers, bytes.NewReader(head.Bytes()[start:]))
		out = append(out, tarStream{io.MultiReader(readers...), size})
	}
	return out, nil
}

// extent is a run of entries.
type extent struct{ begin, end int64 }

// divide gives each part the next largest entry, so that they come out even.
func divide(p *payload, count int) [][]extent {
	whole := [][]extent{{{0, p.total()}}}
	if count < 2 || p.whole || len(p.entries) < 3 {
		return whole
	}
	order := make([]int, len(p.entries)-1)
	for n := range order {
		order[n] = n
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.size(b), p.size(a)) })
	parts := make([][]int, count)
	sizes := make([]int64, count)
	for _, n := range order {
		least := 0
		for i := range sizes {
			if sizes[i] < sizes[least] {
				least = i
			}
		}
		parts[least] = append(parts[least], n)
		sizes[least] += p.size(n)
	}
	var out [][]extent
	for _, entries := range parts {
		slices.Sort(entries)
		var runs []extent
		for _, n := range entries {
			if len(runs) > 0 && runs[len(runs)-1].end == p.entries[n] {
				runs[len(runs)-1].end = p.entries[n+1]
				continue
			}
			runs = append(runs, extent{p.entries[n], p.entries[n+1]})
		}
		out = append(out, runs)
	}
	return out
}
