// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pipeline

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/fileset"
	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
	"github.com/tfdelivery/terraform-provider-delivery/internal/weburl"
)

// Bounds of a definition.
const (
	maxStages   = 200
	maxCommands = 200       // of a stage
	maxCommand  = 64 << 10  // bytes
	maxValue    = 128 << 10 // bytes of an environment variable: the most that Linux passes on
	maxRetries  = 10
	maxTimeout  = 24 * time.Hour
)

// Problem is something wrong with a definition, at an attribute. A stage is
// named by its name: stage, test, needs. Members of lists are decimal indexes.
type Problem struct {
	Path    []string
	Message string
}

// String gives the path, with dots, and the message.
func (p Problem) String() string {
	return strings.Join(p.Path, ".") + ": " + p.Message
}

var (
	namePattern     = lazyregexp.New(`^[a-z0-9]+([-_][a-z0-9]+)*$`)
	variablePattern = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	sha256Pattern   = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)
)

// ValidName says whether a pipeline or stage may have this name: small letters
// and digits, in words joined by "-" or "_", at most 63 of them. Such a name is
// good in a file's, a repository's and a tag's name.
func ValidName(name string) bool { return len(name) <= 63 && namePattern.MatchString(name) }

const nameRule = "names are made of a-z, 0-9 and single - or _ between them, at most 63 in all"

// Validate says all that is wrong with the definition, without looking at
// anything outside it. None means that it can be run.
func (d Definition) Validate() []Problem {
	v := &validation{}
	if !ValidName(d.Name) {
		v.add(fmt.Sprintf("%q cannot be a pipeline's name: %s", d.Name, nameRule), "name")
	}
	v.source(d)
	v.artifact(d.Artifact)
	if len(d.Stages) > maxStages {
		v.add(fmt.Sprintf("there are %d stages; at most %d are allowed", len(d.Stages), maxStages), "stage")
		return v.problems
	}
	known := map[string]int{}
	for i, s := range d.Stages {
		v.stage(s)
		if known[s.Name]++; known[s.Name] == 2 {
			v.add(fmt.Sprintf("there are two stages with the name %q", d.Stages[i].Name), "stage", s.Name, "name")
		}
	}
	for _, s := range d.Stages {
		v.needs(s, known)
	}
	if circle := d.circle(); circle != nil {
		v.add("the stages need each other in a circle: "+strings.Join(circle, " → "), "stage", circle[0], "needs")
	}
	return v.problems
}

type validation struct{ problems []Problem }

func (v *validation) add(message string, path ...string) {
	v.problems = append(v.problems, Problem{Path: path, Message: message})
}

func (v *validation) source(d Definition) {
	elsewhere := d.Artifact != nil && d.Artifact.URL != ""
	switch s := d.Source; {
	case elsewhere && (s != nil || len(d.Stages) > 0):
		v.add("an artifact that was built elsewhere (url) leaves no room for a source or stages", "artifact", "url")
	case elsewhere:
	case s == nil || s.Git == nil && s.Directory == nil:
		v.add("a pipeline needs a source: git or directory", "source")
	case s.Git != nil && s.Directory != nil:
		v.add("a source is either git or directory", "source")
	case s.Git != nil && s.Git.URL == "":
		v.add("the repository's URL is empty", "source", "git", "url")
	case s.Git != nil && weburl.Credential(s.Git.URL) != "":
		v.add(fmt.Sprintf("the repository's URL has a credential in it (%s), which would be kept in the state and the store: put it into the provider's git block",
			weburl.Credential(s.Git.URL)), "source", "git", "url")
	case s.Directory != nil && s.Directory.Path == "":
		v.add("the directory's path is empty", "source", "directory", "path")
	}
}

func (v *validation) artifact(a *Artifact) {
	if a == nil {
		return
	}
	v.globs(a.Include, "artifact", "include")
	v.globs(a.Exclude, "artifact", "exclude")
	if a.URL == "" {
		if a.SHA256 != "" {
			v.add("sha256 belongs to url, which is not set", "artifact", "sha256")
		}
		return
	}
	u, err := url.Parse(a.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		v.add("the artifact is fetched over HTTP only: its URL must begin with https:// or http:// and a host, and no other kind of URL is taken, such as file://", "artifact", "url")
	} else if u.User != nil {
		v.add("the URL has a user in it, who would be kept in the state and the store: use a URL that is good without one", "artifact", "url")
	} else if key := weburl.Credential(a.URL); key != "" {
		v.add(fmt.Sprintf("the URL has a credential in it (%s), which would be kept in the state and the store: use a URL that is good without one", key), "artifact", "url")
	}
	if !sha256Pattern.MatchString(a.SHA256) {
		v.add("an artifact that was built elsewhere needs its SHA-256, 64 hexadecimal digits", "artifact", "sha256")
	}
	if len(a.Include)+len(a.Exclude) > 0 {
		v.add("an artifact that was built elsewhere is taken whole: include and exclude do not apply", "artifact", "url")
	}
}

func (v *validation) stage(s Stage) {
	at := func(members ...string) []string { return append([]string{"stage", s.Name}, members...) }
	if !ValidName(s.Name) {
		v.add(fmt.Sprintf("%q cannot be a stage's name: %s", s.Name, nameRule), at("name")...)
	}
	if len(s.Commands) == 0 {
		v.add("a stage needs at least one command", at("commands")...)
	}
	if len(s.Commands) > maxCommands {
		v.add(fmt.Sprintf("there are %d commands; at most %d are allowed", len(s.Commands), maxCommands), at("commands")...)
	}
	for i, command := range s.Commands {
		switch {
		case strings.TrimSpace(command) == "":
			v.add("the command is empty", at("commands", strconv.Itoa(i))...)
		case len(command) > maxCommand || strings.ContainsRune(command, 0):
			v.add(fmt.Sprintf("the command has more than %d bytes, or a NUL byte", maxCommand), at("commands", strconv.Itoa(i))...)
		}
	}
	if s.Timeout != "" {
		if timeout, err := time.ParseDuration(s.Timeout); err != nil || timeout < time.Second || timeout > maxTimeout {
			v.add(fmt.Sprintf("%q is not a duration between 1s and 24h, such as 90s, 10m or 1h30m", s.Timeout), at("timeout")...)
		}
	}
	if s.Retries < 0 || s.Retries > maxRetries {
		v.add(fmt.Sprintf("retries must be between 0 and %d", maxRetries), at("retries")...)
	}
	v.variables(s, at)
	v.globs(s.Artifacts, at("artifacts")...)
	v.globs(s.JUnit(), at("reports", "junit")...)
}

func (v *validation) variables(s Stage, at func(...string) []string) {
	check := func(name string, path []string) {
		switch {
		case !variablePattern.MatchString(name):
			v.add(fmt.Sprintf("%q cannot be the name of an environment variable", name), path...)
		case strings.HasPrefix(name, "DELIVERY_"):
			v.add(fmt.Sprintf("%q: names that begin with DELIVERY_ are set by the pipeline itself", name), path...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.EnvironmentVariables)) {
		check(name, at("environment_variables", name))
		if value := s.EnvironmentVariables[name]; len(value) > maxValue || strings.ContainsRune(value, 0) {
			v.add(fmt.Sprintf("the value has more than %d bytes, or a NUL byte", maxValue), at("environment_variables", name)...)
		}
	}
	for i, name := range s.Secrets {
		path := at("secrets", strconv.Itoa(i))
		check(name, path)
		if _, both := s.EnvironmentVariables[name]; both {
			v.add(fmt.Sprintf("%q is also an environment variable of this stage", name), path...)
		}
		if slices.Contains(s.Secrets[:i], name) {
			v.add(fmt.Sprintf("%q is asked for twice", name), path...)
		}
	}
}

func (v *validation) globs(patterns []string, path ...string) {
	for i, pattern := range patterns {
		if err := fileset.Check(pattern); err != nil {
			v.add(err.Error(), append(slices.Clone(path), strconv.Itoa(i))...)
		}
	}
}

func (v *validation) needs(s Stage, known map[string]int) {
	for i, name := range s.Needs {
		switch {
		case known[name] == 0:
			message := fmt.Sprintf("there is no stage %q", name)
			if other := nearest(name, known); other != "" {
				message += fmt.Sprintf("; did you mean %q?", other)
			}
			v.add(message, "stage", s.Name, "needs")
		case slices.Contains(s.Needs[:i], name):
			v.add(fmt.Sprintf("%q is named twice", name), "stage", s.Name, "needs")
		}
	}
}

// nearest finds a stage whose name differs from name by a typo: the same
// letters but for one, or the beginning of the other.
func nearest(name string, known map[string]int) string {
	for _, other := range slices.Sorted(maps.Keys(known)) {
		prefix, suffix := 0, 0
		for prefix < min(len(name), len(other)) && name[prefix] == other[prefix] {
			prefix++
		}
		for suffix < min(len(name), len(other))-prefix && name[len(name)-1-suffix] == other[len(other)-1-suffix] {
			suffix++
		}
		if max(len(name), len(other))-prefix-suffix <= 1 || len(name) > 2 && strings.HasPrefix(other, name) {
			return other
		}
	}
	return ""
}

// circle finds stages that need each other: a, b, a. It is nil when there are
// none.
func (d Definition) circle() []string {
	needs := map[string][]string{}
	for _, s := range d.Stages {
		needs[s.Name] = s.Needs
	}
	const open, closed = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case closed:
			return nil
		case open:
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = open
		path = append(path, name)
		for _, next := range needs[name] {
			if found := visit(next); found != nil {
				return found
			}
		}
		path = path[:len(path)-1]
		state[name] = closed
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if found := visit(name); found != nil {
			return found
		}
	}
	return nil
}

// CheckSecrets says which secrets the stages ask for and nobody gives.
func (d Definition) CheckSecrets(known map[string]string) []Problem {
	v := &validation{}
	for _, s := range d.Stages {
		for _, name := range s.Secrets {
			if _, ok := known[name]; !ok {
				v.add(fmt.Sprintf("stage %q asks for the secret %q, which the provider's secrets do not have", s.Name, name), "stage", s.Name, "secrets")
			}
		}
	}
	return v.problems
}
