// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// A token holds the lock on each machine, by place: its number and its mark, as
// the scripts say them. One that begins with an alias mark is the lock of a
// directory that the target has by another name too.
type token map[string]string

const aliasMark = "="

func parseToken(text string) (token, error) {
	var t token
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, deployer.Errorf(deployer.CodeFenced, "the lock's token is not one of this deployer; nothing was changed")
	}
	return t, nil
}

// number is the lock on one machine, as the scripts take it; one that was never
// taken fences.
func (t token) number(s *site) string {
	if held := strings.TrimPrefix(t[s.place], aliasMark); held != "" {
		return held
	}
	return "0"
}

// alias says that a place is one of the target's others by another name.
func (t token) alias(s *site) bool { return strings.HasPrefix(t[s.place], aliasMark) }

// merge finds the directories that were reached by two names. A place that is
// no longer configured is then an alias of the one that is.
func (t token) merge(sites []*site) error {
	names := map[string]*site{}
	for _, desired := range []bool{true, false} {
		for _, s := range sites {
			lock := t[s.place]
			if s.desired != desired || lock == "" {
				continue
			}
			first, known := names[lock]
			switch {
			case !known:
				names[lock] = s
			case desired:
				return &deployer.Error{
					Code: deployer.CodeInvalid, Step: "lock", Instance: s.id,
					Message: fmt.Sprintf("%s and %s are the same directory %s of one host", first.address, s.address, s.root),
					Advice:  "A host can carry a deployment once: remove one of the two.",
				}
			default:
				t[s.place] = aliasMark + lock
			}
		}
	}
	return nil
}

// Acquire implements [deployer.Locker]. The first machine in the order of their
// places decides between two operations; the others are taken at once after
// it, while all connections were made at the same time.
func (d *Deployer) Acquire(ctx context.Context, req deployer.AcquireRequest) (deployer.Lock, error) {
	sites, err := d.sites(req.Target, req.Previous)
	if err != nil {
		return deployer.Lock{}, err
	}
	asked := slices.Clone(sites)
	slices.SortFunc(sites, func(a, b *site) int { return strings.Compare(a.place, b.place) })
	holder, err := json.Marshal(deployer.Holder{Actor: req.Operation.Actor, Operation: req.Operation, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return deployer.Lock{}, deployer.Errorf(deployer.CodeInvalid, "operation: %v", err)
	}
	locks := make([]string, len(sites))
	seen := make([]*observation, len(sites))
	mark := strings.ToLower(rand.Text())
	take := func(n int, s *site) (err error) {
		locks[n], seen[n], err = s.acquire(ctx, req.Lease, ascii(holder), mark+"."+strconv.Itoa(n))
		return err
	}
	errs := d.firstAlone(ctx, sites, take)
	lock := deployer.Lock{}
	held := token{}
	for n, s := range sites {
		if locks[n] != "" {
			held[s.place] = locks[n]
		}
		if errs[n] != nil && !s.desired && deployer.CodeOf(errs[n]) == deployer.CodeUnreachable {
			lock.Unreachable = append(lock.Unreachable, s.id)
			errs[n] = nil
		}
	}
	if err := firstOf(append(errs, held.merge(sites))); err != nil {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		each(sites, func(_ int, s *site) error { return s.release(own, held) })
		return deployer.Lock{}, err
	}
	text, err := json.Marshal(held)
	lock.Token, lock.State = string(text), stateOf(asked, sites, seen)
	return lock, err
}

// stateOf is what was seen at all sites, in the order in which they were asked
// for; nil if one was not seen.
func stateOf(asked, sites []*site, seen []*observation) *deployer.TargetState {
	inOrder := make([]observation, 0, len(asked))
	for _, s := range asked {
		o := seen[slices.Index(sites, s)]
		if o == nil {
			return nil
		}
		inOrder = append(inOrder, *o)
	}
	state := aggregate(inOrder)
	return &state
}

// firstAlone does something at the first site and, if that did not fail for
// good, at all the others at once.
func (d *Deployer) firstAlone(ctx context.Context, sites []*site, do func(n int, s *site) error) []error {
	if len(sites) < 2 {
		return each(sites, do)
	}
	warm, stop := context.WithCancel(ctx)
	defer stop()
	for _, s := range sites[1:] {
		go func() { _ = s.machine.warm(warm) }()
	}
	first := do(0, sites[0])
	if first != nil && (sites[0].desired || deployer.CodeOf(first) != deployer.CodeUnreachable) {
		return append([]error{first}, make([]error, len(sites)-1)...)
	}
	return append([]error{first}, each(sites[1:], func(n int, s *site) error { return do(n+1, s) })...)
}

const releaseTimeout = 10 * time.Second

// acquire takes the lock on one machine, and looks in the same breath; what was
// seen is nil when that failed.
func (s *site) acquire(ctx context.Context, lease time.Duration, holder, mark string) (string, *observation, error) {
	lock, err := callLine("acquire", s.root, seconds(lease), holder, mark)
	if err != nil {
		return "", nil, s.fault("lock", err)
	}
	look, err := callLine("inspect", s.root)
	if err != nil {
		return "", nil, s.fault("lock", err)
	}
	ans, err := s.machine.tell(ctx, call{line: lock + " && " + look, public: true, silence: askSilence})
	held, locked := ans.get("lock")
	if err != nil || !locked {
		if ans, err = s.judged(ans, err); err == nil {
			err = deployer.Errorf(deployer.CodeFailed, "%s", withOutput("the lock could not be taken", ans.output))
		}
		return "", nil, s.fault("lock", err)
	}
	number, _, _ := strings.Cut(held, "-")
	if n, err := strconv.ParseInt(number, 10, 64); err != nil || n <= 0 {
		return "", nil, s.fault("lock", deployer.Errorf(deployer.CodeFailed, "the host calls its lock %q", held))
	}
	if ans.has("error") {
		return held, nil, nil
	}
	o := s.observation()
	o.read(s, ans)
	return held, &o, nil
}

// Renew implements [deployer.Locker], each machine for itself: one that cannot be
// reached or written fences by itself when its lease has ended, and is no reason
// to give up the others. The lock is lost when somebody has it, or when no
// machine renews it.
func (d *Deployer) Renew(ctx context.Context, req deployer.RenewRequest) error {
	sites, held, err := d.locked(req.Target, req.Previous, req.Token)
	if err != nil {
		return err
	}
	errs := each(sites, func(_ int, s *site) error {
		_, err := s.tell(ctx, call{}, "renew", held.number(s), seconds(req.Lease))
		return s.fault("lock", err)
	})
	err = firstOf(errs)
	if deployer.CodeOf(err) != deployer.CodeFenced && slices.Contains(errs, nil) {
		return nil
	}
	return err
}

// Release implements [deployer.Locker].
func (d *Deployer) Release(ctx context.Context, req deployer.ReleaseRequest) error {
	sites, held, err := d.locked(req.Target, req.Previous, req.Token)
	if err != nil {
		return err
	}
	return firstOf(each(sites, func(_ int, s *site) error { return s.release(ctx, held) }))
}

func (s *site) release(ctx context.Context, held token) error {
	if held[s.place] == "" {
		return nil
	}
	_, err := s.tell(ctx, call{}, "release", held.number(s))
	return s.fault("lock", err)
}

// locked gives the sites of a target that the token's lock covers.
func (d *Deployer) locked(target deployer.Target, previous *deployer.Target, text string) ([]*site, token, error) {
	sites, err := d.sites(target, previous)
	if err != nil {
		return nil, nil, err
	}
	held, err := parseToken(text)
	if err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(sites, func(s *site) bool { return held.alias(s) || held[s.place] == "" && !s.desired }), held, nil
}

// seconds writes a duration in whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

// ascii escapes what is not ASCII in JSON, since some shells spoil single bytes.
func ascii(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			b.WriteString(`\u` + hex4(0xd800+r>>10) + `\u` + hex4(0xdc00+r&0x3ff))
		default:
			b.WriteString(`\u` + hex4(r))
		}
	}
	return b.String()
}

func hex4(r rune) string {
	text := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", 4-len(text)) + text
}
