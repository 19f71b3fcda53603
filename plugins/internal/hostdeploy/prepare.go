// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	// An upload over one channel moves about 2 MiB per round trip. Where that
	// is slow, a large one is divided.
	slowLink     = 10 * time.Millisecond
	largeUpload  = 8 << 20 // bytes
	manyChannels = 4
	cleanTimeout = 10 * time.Second
	eventEvery   = 500 * time.Millisecond
)

var revisionID = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

func checkRevision(id string) error {
	if !revisionID.MatchString(id) {
		return deployer.Errorf(deployer.CodeInvalid, "%.80q is no revision id", id)
	}
	return nil
}

// Prepare implements [deployer.Preparer]. A revision that is there whole is left
// as it is, with the secrets it has.
func (d *Deployer) Prepare(ctx context.Context, req deployer.PrepareRequest, events deployer.EventSink) (deployer.Result, error) {
	s, err := d.site(req.Target, req.Instance)
	if err != nil {
		return deployer.Result{}, err
	}
	held, err := parseToken(req.Token)
	if err == nil {
		err = checkRevision(req.Revision.ID)
	}
	if err == nil && req.Revision.Artifact.MediaType != deployer.MediaTypeArchive {
		err = deployer.Errorf(deployer.CodeUnsupported, "artifacts of type %q cannot be deployed to hosts", req.Revision.Artifact.MediaType)
	}
	if err != nil {
		return deployer.Result{}, s.fault("prepare", err)
	}
	if s.machine.holds(s.root, req.Revision.ID) {
		if ans, err := s.ask(ctx, "present", req.Revision.ID); err == nil && ans.has("present") {
			return deployer.Result{}, nil
		}
	}
	files, err := releaseFiles(s.settings, req.Revision)
	if err != nil {
		return deployer.Result{}, s.fault("prepare", err)
	}
	p, done, err := d.payloads.open(ctx, req.Revision.Artifact, d.directory)
	if err != nil {
		return deployer.Result{}, s.fault("artifact", err)
	}
	defer done()
	u := &upload{site: s, req: req, held: held, events: events, incoming: ".incoming-" + req.Revision.ID + "-" + strings.ToLower(rand.Text()[:10])}
	u.hide = redacting(slices.Collect(maps.Values(req.Revision.Secrets)))
	ans, err := u.run(ctx, p, files)
	if err != nil {
		return deployer.Result{}, err
	}
	s.machine.note(s.root, req.Revision.ID)
	return deployer.Result{Changed: ans.has("changed")}, nil
}

// upload is one Prepare at work.
type upload struct {
	*site
	req      deployer.PrepareRequest
	held     token
	events   deployer.EventSink
	hide     redactor
	incoming string

	sent     atomic.Int64
	total    int64
	lastSaid atomic.Int64
}

func (u *upload) run(ctx context.Context, p *payload, files []tarFile) (answer, error) {
	count := 1
	if u.machine.latency() >= slowLink && p.total() >= largeUpload {
		count = manyChannels
	}
	tars, err := streams(p, files, count)
	if err != nil {
		return answer{}, u.fault("upload", err)
	}
	for _, t := range tars {
		u.total += t.size
	}
	u.say("upload", "", 0)
	n := u.held.number(u.site)
	var ans answer
	if len(tars) == 1 {
		args := append([]string{n, u.req.Owner, adopting(u.req.Operation), u.req.Revision.ID, u.incoming, strconv.FormatInt(tars[0].size, 10)}, u.after()...)
		ans, err = u.tell(ctx, call{body: u.counted(tars[0]), said: u.heard}, "prepare", args...)
	} else {
		errs := make([]error, len(tars))
		ended := make(chan int, len(tars))
		for i, t := range tars {
			go func() {
				_, errs[i] = u.tell(ctx, call{body: u.counted(t), said: u.heard}, "receive", n, u.incoming, strconv.FormatInt(t.size, 10), strconv.Itoa(i+1))
				ended <- i
			}()
		}
		for range tars {
			<-ended
		}
		if err = firstOf(errs); err == nil {
			args := append([]string{n, u.req.Revision.ID, u.incoming, strconv.Itoa(len(tars))}, u.after()...)
			ans, err = u.tell(ctx, call{said: u.heard}, "finish", args...)
		}
	}
	if err != nil {
		u.abandon(ctx)
		return ans, u.failed(ans, err)
	}
	return ans, nil
}

// after lists what follows the upload: the job's name, timeout, shared paths
// and install commands.
func (u *upload) after() []string {
	args := []string{seconds(u.installTimeout)}
	for _, name := range u.Shared {
		args = append(args, strings.TrimSuffix(name, "/"))
	}
	return append(append(args, "--"), u.Install...)
}

// heard makes events of what the agent says on the way.
func (u *upload) heard(name, value string) {
	switch name {
	case "phase":
		u.say("install", "", 0)
	case "":
		u.events(deployer.Event{Time: time.Now(), Instance: u.id, Phase: "install", Line: u.hide.line(value)})
	}
}

func (u *upload) say(phase, line string, done int64) {
	e := deployer.Event{Time: time.Now(), Instance: u.id, Phase: phase, Line: line}
	if phase == "upload" {
		e.Done, e.Total = done, u.total
	}
	u.events(e)
}

// counted reports progress, now and then.
func (u *upload) counted(r io.Reader) io.Reader { return &progress{r, u} }

type progress struct {
	io.Reader
	u *upload
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	done := p.u.sent.Add(int64(n))
	now, last := time.Now().UnixNano(), p.u.lastSaid.Load()
	if now-last > int64(eventEvery) && p.u.lastSaid.CompareAndSwap(last, now) {
		p.u.say("upload", "", done)
	}
	return n, err
}

// abandon ends an install command that still runs, and removes what was
// uploaded.
func (u *upload) abandon(ctx context.Context) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	_, _ = u.tell(own, call{}, "cancel", "install")
	_, _ = u.tell(own, call{}, "discard", u.incoming)
}

// failed explains why a revision could not be prepared.
func (u *upload) failed(ans answer, err error) error {
	e := *deployer.AsError(err)
	if e.Instance == "" {
		e.Instance = u.id
	}
	e.Log = u.hide.lines(e.Log)
	said, _ := ans.get("error")
	word, detail, _ := strings.Cut(said, " ")
	switch {
	case word == "install":
		e.Step = "install"
		n, status, late := installEnd(detail)
		command := ""
		if n >= 1 && n <= len(u.Install) {
			command = u.Install[n-1]
		}
		e.Message = fmt.Sprintf("%q ended with status %s", command, status)
		if late {
			e.Message = fmt.Sprintf("%q did not end within %s", command, u.installTimeout)
			e.Advice = "Raise install_timeout if it needs longer."
		}
		e.Log = u.hide.lines(ans.output)
	case word == "unpack":
		e.Step = "upload"
		df, _ := ans.get("df")
		e.Message = withOutput("the release could not be unpacked", ans.output[:min(1, len(ans.output))])
		if df != "" {
			e.Message += "; the disk, as df says: " + strings.Join(strings.Fields(df), " ")
		}
		e.Advice = "Make sure that the host has enough space, and a tar."
	case e.Step == "":
		e.Step = "upload"
	}
	return &e
}

func installEnd(detail string) (n int, status string, late bool) {
	parts := strings.Fields(detail)
	if len(parts) < 2 {
		return 0, "unknown", false
	}
	n, _ = strconv.Atoi(parts[0])
	return n, parts[1], len(parts) > 2
}

// adopting tells the scripts that another owner's deployment is to be taken.
func adopting(op deployer.Operation) string {
	if op.Kind == deployer.OperationAdopt {
		return "adopt"
	}
	return ""
}
