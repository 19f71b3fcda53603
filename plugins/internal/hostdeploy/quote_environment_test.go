// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import "testing"

func TestTheEnvironmentFileHoldsVariablesAndSecrets(t *testing.T) {
	t.Parallel()
	got, err := environmentFile(map[string]string{"B": "it's", "A": "1", "TOKEN": "open"}, map[string]string{"TOKEN": "s3cret"})
	if want := "export A='1'\nexport B='it'\\''s'\n" + secretsMark + "export TOKEN='s3cret'\n"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
