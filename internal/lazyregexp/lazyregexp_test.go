// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package lazyregexp_test

import (
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/lazyregexp"
)

func TestNew(t *testing.T) {
	t.Parallel()
	r := lazyregexp.New(`^v([0-9]+)$`)
	if !r.MatchString("v12") || r.MatchString("12") || r.FindStringSubmatch("v12")[1] != "12" || r.ReplaceAllString("v12", "$1") != "12" {
		t.Error("it matches something else")
	}
	broken := lazyregexp.New(`(`)
	defer func() {
		if recover() == nil {
			t.Error("a broken expression was used")
		}
	}()
	broken.MatchString("")
}
