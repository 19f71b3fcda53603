// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// everything is a configuration with each kind of field.
type everything struct {
	Hosts   map[string]string `json:"hosts,omitempty" doc:"Where." delivery:"required,target,format=hostport"`
	Path    string            `json:"path,omitempty" doc:"The directory" default:"/srv"`
	Install []string          `json:"install,omitempty" doc:"Commands."`
	Keep    int               `json:"keep,omitempty" doc:"How many." default:"5" delivery:"target,min=1"`
	Ratio   float64           `json:"ratio,omitempty" doc:"A share."`
	Force   bool              `json:"force,omitempty" doc:"Or not."`
	Mode    string            `json:"mode,omitempty" doc:"How." delivery:"enum=fast|safe"`
	Token   string            `json:"token,omitempty" doc:"A secret." delivery:"sensitive"`
	Service *everyService     `json:"service,omitempty" doc:"What runs."`
	Mount   []everyMount      `json:"mount,omitempty" doc:"What is mounted."`
}

type everyService struct {
	Command string `json:"command,omitempty" doc:"The process."`
}

type everyMount struct {
	Source string            `json:"source,omitempty" doc:"From where." delivery:"required"`
	Labels map[string]string `json:"labels,omitempty" doc:"Labels."`
	Secret string            `json:"secret,omitempty" doc:"A secret." delivery:"sensitive"`
}

func everythingSchema(t *testing.T) *sdk.Schema {
	t.Helper()
	s, err := sdk.ParseSchema(sdk.SchemaOf[everything]())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	serviceType = types.ObjectType{AttrTypes: map[string]attr.Type{"command": types.StringType}}
	mountType   = types.ObjectType{AttrTypes: map[string]attr.Type{
		"source": types.StringType, "labels": types.MapType{ElemType: types.StringType}, "secret": types.StringType,
	}}
	everythingType = map[string]attr.Type{
		"hosts": types.MapType{ElemType: types.StringType}, "path": types.StringType,
		"install": types.ListType{ElemType: types.StringType}, "keep": types.Int64Type, "ratio": types.Float64Type,
		"force": types.BoolType, "mode": types.StringType, "token": types.StringType,
		"service": serviceType, "mount": types.ListType{ElemType: mountType},
	}
)

// everythingValue is a value where all that is not given is not set, as
// Terraform gives it.
func everythingValue(t *testing.T, set map[string]attr.Value) types.Object {
	t.Helper()
	values := map[string]attr.Value{
		"hosts": types.MapNull(types.StringType), "path": types.StringNull(), "install": types.ListNull(types.StringType),
		"keep": types.Int64Null(), "ratio": types.Float64Null(), "force": types.BoolNull(), "mode": types.StringNull(),
		"token": types.StringNull(), "service": types.ObjectNull(serviceType.AttrTypes),
		"mount": types.ListValueMust(mountType, nil),
	}
	maps.Copy(values, set)
	return types.ObjectValueMust(everythingType, values)
}

func mountValue(source, secret attr.Value) attr.Value {
	return types.ObjectValueMust(mountType.AttrTypes, map[string]attr.Value{
		"source": source, "labels": types.MapNull(types.StringType), "secret": secret,
	})
}

func TestObjectJSON(t *testing.T) {
	t.Parallel()
	marker, err := json.Marshal(deployer.UnknownMarker)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set  map[string]attr.Value
		want string
	}{
		"nothing": {want: `{}`},
		"plain values": {
			set: map[string]attr.Value{
				"path": types.StringValue("/srv/api"), "keep": types.Int64Value(10000000), "ratio": types.Float64Value(0.25),
				"force": types.BoolValue(false), "mode": types.StringValue(""),
			},
			want: `{"force":false,"keep":10000000,"mode":"","path":"/srv/api","ratio":0.25}`,
		},
		"lists and maps": {
			set: map[string]attr.Value{
				"hosts":   types.MapValueMust(types.StringType, map[string]attr.Value{"app-1": types.StringValue("10.0.0.1")}),
				"install": types.ListValueMust(types.StringType, nil),
			},
			want: `{"hosts":{"app-1":"10.0.0.1"},"install":[]}`,
		},
		"blocks": {
			set: map[string]attr.Value{
				"service": types.ObjectValueMust(serviceType.AttrTypes, map[string]attr.Value{"command": types.StringNull()}),
				"mount":   types.ListValueMust(mountType, []attr.Value{mountValue(types.StringValue("a"), types.StringNull())}),
			},
			want: `{"mount":[{"source":"a"}],"service":{}}`,
		},
		"unknown values": {
			set: map[string]attr.Value{
				"hosts": types.MapValueMust(types.StringType, map[string]attr.Value{"app-1": types.StringUnknown()}),
				"keep":  types.Int64Unknown(), "service": types.ObjectUnknown(serviceType.AttrTypes),
			},
			want: `{"hosts":{"app-1":` + string(marker) + `},"keep":` + string(marker) + `,"service":` + string(marker) + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ObjectJSON(context.Background(), everythingValue(t, c.set))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDynamicJSON(t *testing.T) {
	t.Parallel()
	object := types.ObjectValueMust(
		map[string]attr.Type{"pop": types.StringType, "none": types.StringType, "ports": types.TupleType{ElemTypes: []attr.Type{types.NumberType, types.StringType}}},
		map[string]attr.Value{"pop": types.StringValue("fra1"), "none": types.StringNull(),
			"ports": types.TupleValueMust([]attr.Type{types.NumberType, types.StringType}, []attr.Value{types.NumberUnknown(), types.StringValue("x")})})
	marker, _ := json.Marshal(deployer.UnknownMarker)
	for name, c := range map[string]struct {
		value types.Dynamic
		want  string // "" is an error
	}{
		"object": {types.DynamicValue(object), `{"pop":"fra1","ports":[` + string(marker) + `,"x"]}`},
		"null":   {types.DynamicNull(), `{}`},
		"string": {types.DynamicValue(types.StringValue("fra1")), ""},
		"list":   {types.DynamicValue(types.ListValueMust(types.StringType, nil)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := DynamicJSON(context.Background(), c.value)
			if (err != nil) != (c.want == "") || string(got) != c.want {
				t.Errorf("got %s and error %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	s := everythingSchema(t)
	for steps, want := range map[string]string{
		"":                 "ssh",
		"path":             "ssh.path",
		"hosts/app-1":      `ssh.hosts["app-1"]`,
		"hosts/7":          `ssh.hosts["7"]`,
		"install/0":        "ssh.install[0]",
		"service/comand":   "ssh.service.comand",
		"mount/1/source":   "ssh.mount[1].source",
		"mount/1/labels/a": `ssh.mount[1].labels["a"]`,
		"other/2/x":        "ssh.other[2].x",
	} {
		var list []string
		if steps != "" {
			list = strings.Split(steps, "/")
		}
		if got := locator(s)(path.Root("ssh"), list).String(); got != want {
			t.Errorf("%s: got %s, want %s", steps, got, want)
		}
	}
}

func TestSecretsOf(t *testing.T) {
	t.Parallel()
	got := secretsOf(everythingSchema(t), json.RawMessage(`{"token":"one","path":"/srv","mount":[{"source":"x","secret":"two"}],"hosts":{"token":"no"}}`))
	slices.Sort(got)
	if !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %q", got)
	}
}

func TestResourceFields(t *testing.T) {
	t.Parallel()
	attributes, blocks := resourceFields(everythingSchema(t))
	if got := slices.Sorted(maps.Keys(attributes)); !slices.Equal(got, []string{"force", "hosts", "install", "keep", "mode", "path", "ratio", "token"}) {
		t.Errorf("attributes: %v", got)
	}
	if got := slices.Sorted(maps.Keys(blocks)); !slices.Equal(got, []string{"mount", "service"}) {
		t.Errorf("blocks: %v", got)
	}
	for name, want := range map[string]string{
		"path": "The directory. Defaults to `\"/srv\"`.", "mode": "How. One of `fast`, `safe`.", "keep": "How many. Defaults to `5`.", "hosts": "Where. Required.",
	} {
		if got := attributes[name].GetMarkdownDescription(); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, a := range attributes {
		// Terraform would ask for required attributes of a block that is not there.
		if a.IsRequired() || !a.IsOptional() || a.IsSensitive() != (name == "token") {
			t.Errorf("%s: required, optional or sensitive is wrong", name)
		}
	}
	if _, ok := blocks["mount"].(resource.ListNestedBlock); !ok {
		t.Errorf("mount is %T", blocks["mount"])
	}
}

func TestBySchema(t *testing.T) {
	t.Parallel()
	hosts := func(address attr.Value) map[string]attr.Value {
		return map[string]attr.Value{"hosts": types.MapValueMust(types.StringType, map[string]attr.Value{"app-1": address})}
	}
	for name, c := range map[string]struct {
		value types.Object
		at    string // "" is no error
	}{
		"fine":         {everythingValue(t, hosts(types.StringValue("10.0.0.1:2222"))), ""},
		"no host":      {everythingValue(t, nil), "ssh.hosts"},
		"unknown host": {everythingValue(t, hosts(types.StringUnknown())), ""},
		"bad host":     {everythingValue(t, hosts(types.StringValue("10.0.0.1:99999"))), `ssh.hosts["app-1"]`},
		"absent":       {types.ObjectNull(everythingType), ""},
		"unknown":      {types.ObjectUnknown(everythingType), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := &validator.ObjectResponse{}
			bySchema{everythingSchema(t)}.ValidateObject(context.Background(),
				validator.ObjectRequest{Path: path.Root("ssh"), ConfigValue: c.value}, resp)
			if c.at == "" {
				if resp.Diagnostics.HasError() {
					t.Fatalf("got %v", resp.Diagnostics)
				}
				return
			}
			if len(resp.Diagnostics) != 1 {
				t.Fatalf("got %v", resp.Diagnostics)
			}
			with, ok := resp.Diagnostics[0].(diag.DiagnosticWithPath)
			if !ok || with.Path().String() != c.at || !strings.HasPrefix(with.Summary(), c.at+": ") {
				t.Errorf("got %v", resp.Diagnostics)
			}
		})
	}
}

// A path that a deployer gives, however wrong, leads somewhere.
func FuzzLocate(f *testing.F) {
	for _, steps := range []string{"", "hosts/app-1", "mount/0/labels/a", "install/99999999999999999999", "mount/x/y", "path/0/1"} {
		f.Add(steps)
	}
	s, err := sdk.ParseSchema(sdk.SchemaOf[everything]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, steps string) {
		at := locate(s, path.Root("ssh"), strings.Split(steps, "/"))
		if !strings.HasPrefix(at.String(), "ssh") {
			t.Errorf("got %s", at)
		}
	})
}

// No configuration of a custom deployer makes the search for secrets fail.
func FuzzSecrets(f *testing.F) {
	f.Add(`{"token":"one","mount":[{"secret":"two"}]}`)
	f.Add(`[1,{"a":null}]`)
	s, err := sdk.ParseSchema(sdk.SchemaOf[everything]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, config string) {
		secretsOf(s, json.RawMessage(config))
		stringsIn(json.RawMessage(config))
	})
}
