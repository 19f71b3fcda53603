// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

type service struct {
	Command     string `json:"command,omitempty" doc:"What to run." delivery:"required"`
	StopTimeout string `json:"stop_timeout,omitempty" default:"10s" delivery:"format=duration"`
}

type mount struct {
	From string `json:"from" delivery:"required,format=path"`
	Mode string `json:"mode,omitempty" default:"ro" delivery:"enum=ro|rw"`
}

type common struct {
	Path   string   `json:"path" doc:"Where it lives." delivery:"required,target,format=path"`
	Shared []string `json:"shared,omitempty" delivery:"pattern=^[a-z,]+$"`
}

type target struct {
	common
	Hosts        map[string]string `json:"hosts" delivery:"required,target,format=hostport"`
	KeepReleases int               `json:"keep_releases,omitempty" default:"5" delivery:"target,min=1,max=100"`
	Ratio        float64           `json:"ratio,omitempty"`
	Debug        bool              `json:"debug,omitempty" default:"true"`
	Token        string            `json:"token,omitempty" delivery:"sensitive,pattern=^tok-"`
	Service      *service          `json:"service,omitempty" doc:"The process."`
	Mounts       []mount           `json:"mount,omitempty"`
}

const good = `{"path":"/srv","hosts":{"a":"10.0.0.1","b":"[2001:db8::1]:22"}}`

func parse(t *testing.T, document string) *sdk.Schema {
	t.Helper()
	s, err := sdk.ParseSchema(json.RawMessage(document))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaOf(t *testing.T) {
	t.Parallel()
	s := parse(t, string(sdk.SchemaOf[target]()))
	kinds := map[string]sdk.Kind{
		"path": sdk.KindString, "shared": sdk.KindStringList, "hosts": sdk.KindStringMap,
		"keep_releases": sdk.KindInteger, "ratio": sdk.KindNumber, "debug": sdk.KindBoolean, "token": sdk.KindString,
		"service": sdk.KindBlock, "mount": sdk.KindBlockList,
	}
	if len(s.Children) != len(kinds) {
		t.Errorf("%d fields, want %d", len(s.Children), len(kinds))
	}
	for name, kind := range kinds {
		if c := s.Child(name); c == nil || c.Kind != kind {
			t.Errorf("%s is %+v, want a %s", name, c, kind)
		}
	}
	if c := s.Child("keep_releases"); c.Part != sdk.PartTarget || string(c.Default) != "5" || *c.Minimum != 1 || *c.Maximum != 100 {
		t.Errorf("keep_releases is %+v", c)
	}
	if c := s.Child("path"); !c.Required || c.Description != "Where it lives." || c.Part != sdk.PartTarget || c.Format != "path" {
		t.Errorf("path is %+v", c)
	}
	if c := s.Child("token"); !c.Sensitive || c.Part != sdk.PartRevision || c.Required {
		t.Errorf("token is %+v", c)
	}
	if c := s.Child("mount").Child("mode"); !reflect.DeepEqual(c.Enum, []string{"ro", "rw"}) || string(c.Default) != `"ro"` {
		t.Errorf("mode is %+v", c)
	}
}

func TestSchemaOfRefuses(t *testing.T) {
	t.Parallel()
	type node struct {
		Next *struct{} `json:"next"`
		Self []string  `json:"Self"`
	}
	type recursive struct {
		Again []struct{} `json:"again"`
		Deep  *recursive `json:"deep"`
	}
	for name, derive := range map[string]func(){
		"a name that Terraform refuses": func() { sdk.SchemaOf[node]() },
		"recursion":                     func() { sdk.SchemaOf[recursive]() },
		"a type": func() {
			sdk.SchemaOf[struct {
				X uint8 `json:"x"`
			}]()
		},
		"an unknown option": func() {
			sdk.SchemaOf[struct {
				X string `json:"x" delivery:"requierd"`
			}]()
		},
		"a default of another type": func() {
			sdk.SchemaOf[struct {
				X int `json:"x" default:"five"`
			}]()
		},
		"a required default": func() {
			sdk.SchemaOf[struct {
				X int `json:"x" default:"5" delivery:"required"`
			}]()
		},
		"a part inside a block": func() {
			sdk.SchemaOf[struct {
				X *struct {
					Y string `json:"y" delivery:"target"`
				} `json:"x"`
			}]()
		},
		"no name": func() { sdk.SchemaOf[struct{ X string }]() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "sdk.SchemaOf") {
					t.Errorf("recovered %v", p)
				}
			}()
			derive()
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	s := parse(t, string(sdk.SchemaOf[target]()))
	unknown, _ := json.Marshal(deployer.UnknownMarker)
	for _, c := range []struct {
		name, config string
		want         []string // path: summary, in order
	}{
		{"good", good, nil},
		{"empty", ``, []string{`hosts: "hosts" is required`, `path: "path" is required`}},
		{"no JSON", `{`, []string{`: configuration: it is no JSON: unexpected EOF`}},
		{"two values", `{} {}`, []string{`: configuration: it is no JSON: something follows the value`}},
		{"a typo", `{"path":"/srv","hosts":{},"keep_release":3}`, []string{`keep_release: "keep_release" is no argument here`}},
		{"null is unset", `{"path":null,"hosts":{},"nonsense":null}`, []string{`path: "path" is required`}},
		{"types", `{"path":1,"hosts":[],"keep_releases":"3","debug":"yes","shared":{},"service":[],"mount":{},"ratio":true}`, []string{
			`debug: a string where true or false belongs`, `hosts: a list where a map of strings belongs`,
			`keep_releases: a string where a whole number belongs`, `mount: an object where a list of objects belongs`,
			`path: a number where a string belongs`, `ratio: a boolean where a number belongs`,
			`service: a list where an object belongs`, `shared: an object where a list of strings belongs`,
		}},
		{"limits", `{"path":" ","hosts":{"a":"b:0","c":"-x"},"keep_releases":0,"shared":["ok","No"]}`, []string{
			`hosts/a: "b:0" is no host or host:port: ports are 1 to 65535`,
			`hosts/c: "-x" is no host or host:port: a host does not begin with a dash`,
			`keep_releases: 0 is less than 1`, `path: " " is no path: it is empty`, `shared/1: "No" does not match ^[a-z,]+$`,
		}},
		{"fractions", `{"path":"/","hosts":{},"keep_releases":1.5}`, []string{`keep_releases: 1.5 is no whole number, or too large`}},
		{"whole fractions", `{"path":"/","hosts":{},"keep_releases":2.0}`, nil},
		{"inside blocks", `{"path":"/","hosts":{},"service":{"stop_timeout":"10"},"mount":[{"from":"/a"},{"mode":"x","form":"/b"}]}`, []string{
			`mount/1/form: "form" is no argument here`, `mount/1/from: "from" is required`, `mount/1/mode: "x" is none of ro, rw`,
			`service/command: "command" is required`,
			`service/stop_timeout: "10" is no duration: write it like "90s", "10m" or "1h30m"`,
		}},
		{"a sensitive value is not shown", `{"path":"/","hosts":{},"token":"hunter2"}`, []string{`token: the value does not match ^tok-`}},
		{"unknown values", strings.ReplaceAll(`{"path":?,"hosts":{"a":?},"keep_releases":?,"shared":[?],"service":?,"mount":[?,{"from":?}],"debug":?}`, "?", string(unknown)), nil},
		{"all unknown", string(unknown), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range s.Validate(json.RawMessage(c.config)) {
				got = append(got, strings.Join(d.Path, "/")+": "+d.Summary)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	d := s.Validate(json.RawMessage(`{"path":"/","hosts":{},"keep_release":3}`))
	if !strings.Contains(d[0].Detail, `Did you mean "keep_releases"?`) {
		t.Errorf("the detail is %q", d[0].Detail)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := sdk.Decode[target](json.RawMessage(`{"path":"/srv","hosts":{"a":"b"},"service":{"command":"x"},"mount":[{"from":"/a"}],"debug":false}`))
	want := target{
		common: common{Path: "/srv"}, Hosts: map[string]string{"a": "b"}, KeepReleases: 5,
		Service: &service{Command: "x", StopTimeout: "10s"}, Mounts: []mount{{From: "/a", Mode: "ro"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = sdk.Decode[target](json.RawMessage(`{"path":"/srv","hosts":{},"service":{}}`))
	if e := deployer.AsError(err); e == nil || e.Code != deployer.CodeInvalid || !reflect.DeepEqual(e.Path, []string{"service", "command"}) {
		t.Errorf("got %+v", err)
	}
	marked, _ := json.Marshal(map[string]any{
		"path": deployer.UnknownMarker, "hosts": map[string]string{"a": "b", "c": deployer.UnknownMarker},
		"keep_releases": deployer.UnknownMarker, "mount": []any{deployer.UnknownMarker, map[string]any{"from": deployer.UnknownMarker}},
	})
	value, unknown, err := sdk.DecodeUnknown[target](marked)
	if err != nil || value.KeepReleases != 0 || value.Path != "" || len(value.Hosts) != 2 || len(value.Mounts) != 2 {
		t.Errorf("got %+v, %v", value, err)
	}
	wantPaths := [][]string{{"hosts", "c"}, {"keep_releases"}, {"mount", "0"}, {"mount", "1", "from"}, {"path"}}
	if !reflect.DeepEqual(unknown, wantPaths) {
		t.Errorf("unknown are %q", unknown)
	}
	if _, err := sdk.Decode[target](marked); deployer.CodeOf(err) != deployer.CodeInvalid {
		t.Errorf("Decode took unknown values: %v", err)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	s := parse(t, string(sdk.SchemaOf[target]()))
	revision, where, err := s.Split(json.RawMessage(`{"ratio":5.0, "keep_releases":3e0,"token":null,"path":"/<a>","service":{"stop_timeout":null,"command":"x"},"hosts":{"b":"2","a":"1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(revision), `{"ratio":5,"service":{"command":"x"}}`; got != want {
		t.Errorf("revision %s, want %s", got, want)
	}
	if got, want := string(where), `{"hosts":{"a":"1","b":"2"},"keep_releases":3,"path":"/<a>"}`; got != want {
		t.Errorf("target %s, want %s", got, want)
	}
}

func TestDescriptionJSON(t *testing.T) {
	t.Parallel()
	want := deployer.Description{
		Name: "x", Version: "1", Capabilities: []deployer.Capability{deployer.CanLock}, ArtifactKinds: []string{"a"},
		TargetSchema: sdk.SchemaOf[target](),
	}
	text, err := sdk.DescriptionJSON(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sdk.ParseDescription(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}
