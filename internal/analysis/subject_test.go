// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tfdelivery/terraform-provider-delivery/internal/analysis"
)

var subject = analysis.Subject{
	Revision: "1.5.0-0a1b2c3d4e5f", Release: "shop:1.5.0+b1", Version: "1.5.0+b1", Commit: "abc", Instances: []string{"app-1", "app.2"},
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`up{version="{{version}}"}`:                   `up{version="1.5.0+b1"}`,
		`up{a="{{ revision }}",b="{{release}}"}`:      `up{a="1.5.0-0a1b2c3d4e5f",b="shop:1.5.0+b1"}`,
		"up{instance=~`{{instances}}:.*`}":            "up{instance=~`(app-1|app[.]2):.*`}",
		`sum by (x) (up{a="b"}) / {{`:                 "error: a placeholder has no end",
		`up{x="{{secret}}"}`:                          "error: {{secret}} is not a placeholder; there are {{commit}}, {{instances}}, {{release}}, {{revision}}, {{version}}",
		`up{x="{{}}"}`:                                "error: {{}} is not a placeholder",
		`{{version}}{{version`:                        "error: a placeholder has no end",
		`up{version="{{commit}}",x="}}"}`:             `up{version="abc",x="}}"}`,
		`up{x="{{ {{version}} }}"}`:                   "error: is not a placeholder",
		"{{version}}\n{{version}}":                    "1.5.0+b1 1.5.0+b1",
		`max(x{pod=~"{{instances}}"}) > bool 3 and y`: `max(x{pod=~"(app-1|app[.]2)"}) > bool 3 and y`,
	} {
		query := analysis.Prometheus{Address: "http://p", Expr: text}
		invalid := query.Validate()
		about, err := query.About(subject)
		wrong, isError := strings.CutPrefix(want, "error: ")
		switch {
		case isError:
			if invalid == nil || err == nil || !strings.Contains(invalid.Error(), wrong) || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v, %v; want %s", text, invalid, err, wrong)
			}
		case invalid != nil || err != nil:
			t.Errorf("%s: %v, %v", text, invalid, err)
		case about.String() != want+" at http://p":
			t.Errorf("%s: %s, want %s", text, about, want)
		}
	}
}

// No value can end the string in which it stands.
func TestHostileValuesInPromQL(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{`up{x="{{commit}}"}`, `up{x=~"{{instances}}"}`} {
		if query, err := (analysis.Prometheus{Address: "http://p", Expr: expr}).About(analysis.Subject{Version: "1"}); err == nil || !strings.Contains(err.Error(), "has no value here") {
			t.Errorf("%s: %v, %v", expr, query, err)
		}
	}
	for _, value := range []string{`"} or vector(1) #`, "'", "`", `\`, "a\nb", "(", "x|y", "é"} {
		for _, expr := range []string{`up{x="{{version}}"}`, `up{x=~"{{instances}}"}`} {
			query, err := analysis.Prometheus{Address: "http://p", Expr: expr}.About(analysis.Subject{Version: value, Instances: []string{"a", value}})
			if err == nil || !strings.Contains(err.Error(), "cannot stand in PromQL") {
				t.Errorf("%s with %q: %v, %v", expr, value, query, err)
			}
		}
	}
}

func TestPlaceholdersInURLs(t *testing.T) {
	t.Parallel()
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Get("on") + " " + r.URL.Query().Get("x")
		_, _ = w.Write([]byte("1"))
	}))
	t.Cleanup(server.Close)
	query := analysis.HTTP{URL: server.URL + "/of/{{release}}?on={{instances}}&x={{ version }}"}
	if err := query.Validate(); err != nil {
		t.Fatal(err)
	}
	about, err := query.About(analysis.Subject{Release: "a/b?c&d", Version: "1+2 3&on=9", Instances: []string{"x y", "z"}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "filled in", about, "1")
	if want := "/of/a/b?c&d x y,z 1+2 3&on=9"; asked != want {
		t.Errorf("asked %q, want %q", asked, want)
	}
	for _, url := range []string{"http://{{version}}/", "http://h:{{version}}/", "http://{{version}}@h/", "{{version}}", "http://h/{{what}}"} {
		if err := (analysis.HTTP{URL: url}).Validate(); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
}
