// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

func validate(t *testing.T, kind Kind, config string) deployer.Validation {
	t.Helper()
	marked, err := json.Marshal(deployer.UnknownMarker)
	if err != nil {
		t.Fatal(err)
	}
	config = strings.ReplaceAll(config, "UNKNOWN", string(marked))
	v, err := New(kind, "test").Validate(t.Context(), deployer.ValidateRequest{Target: deployer.Target{Config: json.RawMessage(config)}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestValidateNamesInstances(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   Kind
		config string
		want   string
	}{
		{SSH, `{"hosts":{"b":"10.0.0.2:2222","a":"A.example.com"},"path":"/srv/api/"}`,
			"a 0 A.example.com a.example.com:/srv/api|b 1 10.0.0.2:2222 10.0.0.2:2222:/srv/api"},
		{SSH, `{"hosts":{"a":UNKNOWN,"b":"h"},"path":"/srv/api"}`, "a 0 unknown|b 1 h h:/srv/api"},
		{SSH, `{"hosts":{"a":"h"},"path":UNKNOWN}`, "a 0 h unknown"},
		{SSH, `{"hosts":UNKNOWN,"path":"/srv/api"}`, "unknown"},
		{SSH, `UNKNOWN`, "unknown"},
		{SSH, `{"hosts":{"a":"H:22","b":"h:2222","c":"10.0.0.1:22","d":"::1","e":"::0:2"},"path":"/p"}`,
			"a 0 H:22 h:/p|b 1 h:2222 h:2222:/p|c 2 10.0.0.1:22 10.0.0.1:/p|d 3 ::1 [::1]:/p|e 4 ::0:2 [::2]:/p"},
		{Local, `{"path":"app"}`, "local 0 local local:app"},
		{Local, `{"path":UNKNOWN}`, "local 0 local unknown"},
	} {
		v := validate(t, c.kind, c.config)
		var got []string
		for _, i := range v.Instances {
			text := strings.Join(strings.Fields(fmt.Sprint(i.ID, " ", i.Order, " ", i.Address, " ", i.Place)), " ")
			if i.AddressUnknown {
				text += " unknown"
			}
			got = append(got, text)
		}
		if v.InstancesUnknown {
			got = append(got, "unknown")
		}
		if all := strings.Join(got, "|"); all != c.want || len(v.Diagnostics) > 0 {
			t.Errorf("%s:\n%q, want\n%q; %+v", c.config, all, c.want, v.Diagnostics)
		}
	}
}

func TestValidateFindsMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind         Kind
		config, path string
	}{
		{SSH, `{"hosts":{"a":"h"},"path":"srv"}`, "path"},
		{SSH, `{"hosts":{"a":"h"},"path":"/"}`, "path"},
		{Local, `{"path":"."}`, "path"},
		{SSH, `{"hosts":{"a":"h","b":"H:22"},"path":"/srv/a"}`, "hosts.b"},
		{SSH, `{"hosts":{"a":"h h"},"path":"/srv/a"}`, "hosts.a"},
		{SSH, `{"path":"/srv/a"}`, "hosts"},
		{Local, `{"path":"a","shared":["ok","../x"]}`, "shared.1"},
		{Local, `{"path":"a","shared":["a","a/b"]}`, "shared.1"},
		{Local, `{"path":"a","shared":[".delivery/x"]}`, "shared.0"},
		{Local, `{"path":"a","install":["true"," "]}`, "install.1"},
		{Local, `{"path":"a","keep_releases":0}`, "keep_releases"},
		{Local, `{"path":"a","service":{}}`, "service"},
		{Local, `{"path":"a","service":{"command":"x","commands":{"start":"a","stop":"b","status":"c"}}}`, "service"},
		{Local, `{"path":"a","service":{"command":"x","stop_signal":"BOGUS"}}`, "service.stop_signal"},
		{SSH, `{"hosts":{"a":"::1","b":"0::1"},"path":"/srv/a"}`, "hosts.b"},
		{Local, `{"path":"a","service":{"command":"x","stop_timeout":"91s"}}`, "service.stop_timeout"},
		{Local, `{"path":"a","hosts":{}}`, "hosts"},
	} {
		v := validate(t, c.kind, c.config)
		if len(v.Diagnostics) == 0 {
			t.Errorf("%s: nothing found", c.config)
			continue
		}
		if got := strings.Join(v.Diagnostics[0].Path, "."); got != c.path {
			t.Errorf("%s: at %q, want %q: %+v", c.config, got, c.path, v.Diagnostics)
		}
	}
}

func TestValidateBearsUnknownValues(t *testing.T) {
	t.Parallel()
	for _, config := range []string{
		`{"path":"a","service":UNKNOWN}`, `{"path":"a","service":{"command":UNKNOWN}}`, `{"path":"a","service":{"command":"x","stop_timeout":UNKNOWN}}`,
		`{"path":"a","shared":UNKNOWN}`, `{"path":"a","shared":["x",UNKNOWN]}`, `{"path":"a","install":[UNKNOWN]}`, `{"path":"a","keep_releases":UNKNOWN}`,
	} {
		if v := validate(t, Local, config); len(v.Diagnostics) > 0 {
			t.Errorf("%s: %+v", config, v.Diagnostics)
		}
	}
}
