// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	historyBytes = 2 << 20
	callTimeout  = time.Minute
)

// Record implements [deployer.Recorder]. A machine of the previous target that
// cannot be reached is left out.
func (d *Deployer) Record(ctx context.Context, req deployer.RecordRequest) error {
	sites, held, err := d.locked(req.Target, req.Previous, req.Token)
	if err != nil {
		return err
	}
	text, err := json.Marshal(req.Entry)
	if err != nil {
		return deployer.Errorf(deployer.CodeInvalid, "entry: %v", err)
	}
	if strings.ContainsAny(req.Entry.Owner, "\n\r") || req.Entry.Owner == "" {
		return deployer.Errorf(deployer.CodeInvalid, "the owner %q is not one line", req.Entry.Owner)
	}
	line, good := ascii(text), ""
	if req.Entry.Phase == deployer.PhaseEnd && req.Entry.Outcome == deployer.OutcomeSucceeded {
		if err := checkRevision(req.Entry.To.ID); err != nil {
			return err
		}
		good = req.Entry.To.ID
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return firstOf(each(sites, func(_ int, s *site) error {
		_, err := s.tell(ctx, call{}, "record", held.number(s), req.Entry.Owner, adopting(req.Entry.Operation),
			strconv.FormatInt(req.Entry.Generation, 10), req.Entry.Phase, good, line)
		if err != nil && !s.desired && deployer.CodeOf(err) == deployer.CodeUnreachable {
			return nil
		}
		return s.fault("record", err)
	}))
}

// History implements [deployer.Recorder]: the entries of all machines that can
// be reached, each once.
func (d *Deployer) History(ctx context.Context, req deployer.HistoryRequest) ([]deployer.Entry, error) {
	sites, err := d.sitesOf(req.Target, true)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found := make([][]deployer.Entry, len(sites))
	errs := each(sites, func(n int, s *site) error {
		ans, err := s.ask(ctx, "history_tail", strconv.Itoa(historyBytes))
		found[n] = parseEntries(ans.sections["entries"])
		return s.fault("history", err)
	})
	if err := firstOf(errs); err != nil && !slices.ContainsFunc(errs, func(err error) bool { return err == nil }) {
		return nil, err
	}
	entries := merge(found)
	entries = slices.DeleteFunc(entries, func(e deployer.Entry) bool { return e.Time.Before(req.Since) })
	if req.Limit > 0 && len(entries) > req.Limit {
		entries = entries[:req.Limit]
	}
	return entries, nil
}

// merge puts the entries of several ledgers together, newest first.
func merge(ledgers [][]deployer.Entry) []deployer.Entry {
	type key struct {
		operation, phase string
		generation       int64
	}
	seen := map[key]bool{}
	var all []deployer.Entry
	for _, entries := range ledgers {
		for _, e := range entries {
			k := key{e.Operation.ID, e.Phase, e.Generation}
			if !seen[k] {
				seen[k] = true
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b deployer.Entry) int {
		return cmp.Or(-cmp.Compare(a.Generation, b.Generation), -a.Time.Compare(b.Time), cmp.Compare(b.Phase, a.Phase))
	})
	return all
}

// parseEntries reads lines of a ledger. A torn line is no entry.
func parseEntries(lines []string) []deployer.Entry {
	var entries []deployer.Entry
	for _, l := range lines {
		if e, ok := parseEntry(l); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

func parseEntry(line string) (deployer.Entry, bool) {
	var e deployer.Entry
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		return e, false
	}
	return e, e.Schema >= 1 && (e.Phase == deployer.PhaseBegin || e.Phase == deployer.PhaseEnd)
}

// Prune implements [deployer.Pruner].
func (d *Deployer) Prune(ctx context.Context, req deployer.PruneRequest) (deployer.PruneResult, error) {
	sites, held, err := d.locked(req.Target, nil, req.Token)
	if err != nil {
		return deployer.PruneResult{}, err
	}
	everything := ""
	if req.Everything {
		everything = "everything"
	}
	removed := make([][]string, len(sites))
	err = firstOf(each(sites, func(n int, s *site) error {
		ans, err := s.tell(ctx, call{}, "prune", held.number(s), req.Owner, "", strconv.Itoa(max(0, req.Keep)), everything)
		removed[n] = ans.all("removed")
		s.machine.forget(s.root)
		return s.fault("prune", err)
	}))
	result := deployer.PruneResult{Removed: map[string][]string{}}
	for n, s := range sites {
		if len(removed[n]) > 0 {
			result.Removed[s.id] = removed[n]
		}
	}
	return result, err
}
