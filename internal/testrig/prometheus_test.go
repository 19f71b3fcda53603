// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig_test

import (
	"net/http"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

func TestPrometheus(t *testing.T) {
	t.Parallel()
	p := testrig.NewPrometheus(t, testrig.NewMetrics(t, func() string { return "shop_up{version=\"1\"} 1\n" }))
	p.Await(`shop_up{version="1",job="app"} == 1`)
	p.Stop()
	if res, err := http.Get(p.URL + "/-/ready"); err == nil {
		res.Body.Close()
		t.Error("a stopped server answers")
	}
	p.Start()
	p.Await("shop_up")
}
