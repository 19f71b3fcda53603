// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"encoding/base64"
	"testing"
)

func TestRedacting(t *testing.T) {
	t.Parallel()
	const token, key = "s3cret-token+/", "-----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n-----END KEY-----\n"
	hide := redacting([]string{token, key, "four", "abc", "", "token"})
	for text, want := range map[string]string{
		"x " + token + " y": "x (sensitive) y",
		"four for":          "(sensitive) for",
		"abc":               "abc",
		"authorization: " + base64.StdEncoding.EncodeToString([]byte(token)): "authorization: (sensitive)=",
		base64.StdEncoding.EncodeToString([]byte(key)):                       "(sensitive)=",
		base64.StdEncoding.EncodeToString([]byte("four")):                    "Zm91cg==",
		"log: MIIEvQIBADANBg\r":                                              "log: (sensitive)\r",
		"short":                                                              "short",
		"-----BEGIN KEY-----":                                                "-----BEGIN KEY-----",
		"before " + key + " after":                                           "before (sensitive)\n after",
		"nothing of that to be seen":                                         "nothing of that to be seen",
	} {
		if got := hide.line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := (redactor{}).line("as it is"); got != "as it is" {
		t.Errorf("no secrets: %q", got)
	}
}
