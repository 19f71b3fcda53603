// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

//go:embed script/preview.sh
var previewScript string

const (
	// leastSpace is what a release of unknown size is taken to need, in bytes.
	leastSpace = 32 << 20
	// unpacked is how much larger a release may be than its archive.
	unpacked = 4
)

// Preview implements [deployer.Previewer] with one question to each host, all at
// once: whether it may be written to, whether there is space, and whether the
// service stops before the new one starts. A first deployment is not looked
// ahead at: nothing runs, and what is in its way is found before anything is
// switched; logging in to every host would make each plan of it slower.
func (d *Deployer) Preview(ctx context.Context, req deployer.PreviewRequest) (deployer.Preview, error) {
	if err := checkRevision(req.Revision.ID); err != nil {
		return deployer.Preview{}, err
	}
	sites, err := d.sitesOf(req.Target, true)
	if err != nil || len(req.State.Instances) == 0 {
		return deployer.Preview{}, err
	}
	sites = slices.DeleteFunc(sites, func(s *site) bool { return toldOf(req.State, s.id) })
	found := make([][]finding, len(sites))
	each(sites, func(n int, s *site) error {
		found[n] = s.preview(ctx, req.Revision)
		return nil
	})
	if ctx.Err() != nil {
		return deployer.Preview{}, stopped(ctx)
	}
	return deployer.Preview{Findings: together(sites, found)}, nil
}

// toldOf says whether it is known already that an instance cannot be reached.
func toldOf(state deployer.TargetState, id string) bool {
	return slices.ContainsFunc(state.Instances, func(i deployer.Instance) bool { return i.ID == id && i.Unreachable != "" })
}

// finding is what one host has of something that several may have.
type finding struct {
	summary string // what it is, the same for all hosts
	here    string // what only this host has of it
	advice  string
	path    string // attribute
}

func (s *site) preview(ctx context.Context, revision deployer.Revision) []finding {
	line, err := callLine("preview", s.root, revision.ID)
	if err == nil {
		var define string
		if define, err = callLine("eval", lean(previewScript)); err == nil {
			line = define + "; " + line
		}
	}
	var ans answer
	if err == nil {
		ans, err = s.judged(s.machine.ask(ctx, call{line: line}))
	}
	if err != nil {
		e := deployer.AsError(err)
		return []finding{{summary: "A host cannot be looked at", here: e.Message, advice: e.Advice, path: s.hostsPath()}}
	}
	return s.judgePreview(ans, revision)
}

// judgePreview reads what a host answered.
func (s *site) judgePreview(ans answer, revision deployer.Revision) []finding {
	var found []finding
	for _, why := range ans.all("blocked") {
		found = append(found, finding{summary: "Something else is in the way", here: why, advice: "It will be left as it is. Move it away, or choose another path.", path: "path"})
	}
	for _, denied := range ans.all("denied") {
		user, directory, _ := strings.Cut(denied, " ")
		found = append(found, finding{
			summary: "A right is missing", here: fmt.Sprintf("%s may not write in %s", user, directory),
			advice: "Create " + s.root + " and give it to that user, or log in as another one.", path: "path",
		})
	}
	whole := ans.has("whole")
	if lacks, ok := ans.get("lacks"); ok && !whole {
		found = append(found, finding{summary: "A program is missing", here: "there is no " + lacks, advice: "Install it: releases are unpacked with it.", path: s.hostsPath()})
	}
	supervised := s.Service != nil && s.Service.Commands == nil
	if ans.has("alone") && supervised {
		found = append(found, finding{summary: "A program is missing", here: "there is neither setsid nor perl", advice: "Install one of them: the service is supervised with it.", path: s.hostsPath()})
	}
	if free, ok := freeSpace(ans); ok && !whole {
		found = append(found, spaceFor(revision.Artifact, free)...)
	}
	if gap, ok := s.gap(ans, revision.ID); ok {
		found = append(found, gap)
	}
	return found
}

func (s *site) hostsPath() string {
	if s.local {
		return "path"
	}
	return "hosts"
}

// freeSpace reads the line of df -Pk: device, size, used, free, share, place. A
// device may have blanks in its name, so the place of the percentage counts.
func freeSpace(ans answer) (bytes int64, ok bool) {
	line, _ := ans.get("df")
	words := strings.Fields(line)
	share := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, "%") })
	if share < 1 {
		return 0, false
	}
	kilobytes, err := strconv.ParseInt(words[share-1], 10, 53)
	if err != nil || kilobytes < 0 {
		return 0, false
	}
	return kilobytes << 10, true
}

func spaceFor(artifact deployer.Artifact, free int64) []finding {
	need, what := int64(leastSpace), ""
	if artifact.Size > 0 {
		need = max(artifact.Size, artifact.Size*unpacked)
		what = fmt.Sprintf(" for a release of %s, packed", megabytes(artifact.Size))
	}
	if free >= need {
		return nil
	}
	return []finding{{
		summary: "The disk may be too full", here: megabytes(free) + " are free" + what,
		advice: "A release is unpacked beside the ones that are kept. Make room, or keep fewer with keep_releases.", path: "path",
	}}
}

func megabytes(bytes int64) string {
	return strconv.FormatFloat(float64(bytes)/(1<<20), 'f', 1, 64) + " MiB"
}

// gap tells how long nothing of the service answers while it is switched. A
// service that is told to change by a restart command of its own does as it can.
func (s *site) gap(ans answer, revision string) (finding, bool) {
	v := parseService(ans)
	if v.kind == "" {
		return finding{}, false
	}
	if runs, _ := ans.get("runs"); v.kind == "supervised" && (runs == "" || runs == revision) {
		return finding{}, false
	}
	if v.kind == "commands" && (v.wanted == revision || s.Service != nil && s.Service.Commands != nil && s.Service.Commands.Restart != "") {
		return finding{}, false
	}
	stop, _ := ans.get("stop")
	limit, _, _ := strings.Cut(stop, " ")
	secs, err := strconv.ParseFloat(limit, 64)
	if err != nil || secs < 0 || secs > mostStopTimeout.Seconds() {
		secs = s.stopTimeout.Seconds()
	}
	limitText := time.Duration(secs * float64(time.Second)).String()
	if s.Service == nil {
		return finding{summary: "The service stops", here: "it has up to " + limitText + " to end", advice: "The new revision has no service.", path: "service"}, true
	}
	return finding{
		summary: "The service stops before the new one starts",
		here:    "expect a gap of up to " + limitText + " (stop_timeout), and until the new one answers",
		advice:  s.gapAdvice(),
		path:    "service",
	}, true
}

func (s *site) gapAdvice() string {
	if len(s.hosts) == 1 {
		return "Nothing else answers meanwhile: it is the only instance."
	}
	return "How many instances at once, the strategy says; a load balancer that asks for their health sends requests to the others."
}

// together makes one diagnostic of what several hosts have, with what each has
// of it.
func together(sites []*site, found [][]finding) []deployer.Diagnostic {
	type kind struct{ summary, advice, path string }
	var kinds []kind
	var texts []string // by kind and text, in order
	names := map[kind]map[string][]string{}
	for n, all := range found {
		for _, f := range all {
			k := kind{f.summary, f.advice, f.path}
			if names[k] == nil {
				names[k] = map[string][]string{}
				kinds = append(kinds, k)
			}
			if !slices.Contains(texts, f.here) {
				texts = append(texts, f.here)
			}
			names[k][f.here] = append(names[k][f.here], sites[n].id)
		}
	}
	var out []deployer.Diagnostic
	for _, k := range kinds {
		var lines []string
		for _, text := range texts {
			if ids := names[k][text]; len(ids) > 0 {
				lines = append(lines, listed(ids)+": "+text+".")
			}
		}
		d := deployer.Diagnostic{Warning: true, Summary: k.summary, Detail: strings.TrimSpace(strings.Join(lines, "\n") + "\n" + k.advice)}
		if k.path != "" {
			d.Path = []string{k.path}
		}
		out = append(out, d)
	}
	return out
}

// listed joins names, the first few of many.
func listed(ids []string) string {
	const most = 8
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most-1], ", "), len(ids)-most+1)
}
