// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sdk_test

import (
	"encoding/json"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk"
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

func TestSchemaOf(t *testing.T) {
	t.Parallel()
	document := sdk.SchemaOf[target]()
	s, err := sdk.ParseSchema(document)
	if err != nil {
		t.Fatal(err)
	}
	var pretty any
	if err := json.Unmarshal(document, &pretty); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]sdk.Kind{
		"path": sdk.KindString, "shared": sdk.KindStringList, "hosts": sdk.KindStringMap,
		"keep_releases": sdk.KindInteger, "ratio": sdk.KindNumber, "debug": sdk.KindBoolean,
		"service": sdk.KindBlock, "mount": sdk.KindBlockList,
	}
	for name, kind := range kinds {
		if c := s.Child(name); c == nil || c.Kind != kind {
			t.Errorf("%s is %+v, want a %s", name, c, kind)
		}
	}
	if c := s.Child("keep_releases"); c.Part != sdk.PartTarget || string(c.Default) != "5" || *c.Minimum != 1 {
		t.Errorf("keep_releases is %+v", c)
	}
	if c := s.Child("path"); !c.Required || c.Description != "Where it lives." || c.Part != sdk.PartTarget {
		t.Errorf("path is %+v", c)
	}
	if c := s.Child("token"); !c.Sensitive || c.Part != sdk.PartRevision {
		t.Errorf("token is %+v", c)
	}
}
