// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Deployerpages writes a page for each bundled deployer: what people wrote
// about it, with tables of its configuration made from its schemas. It comes
// after tfplugindocs, which empties the directory of guides.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	plugins := flag.String("plugins", "bin/plugins", "directory of the deployer programs")
	texts := flag.String("texts", "tools/pages", "directory of what people wrote, <deployer>.md")
	out := flag.String("o", "docs/guides", "directory to write to")
	flag.Parse()
	if err := run(*plugins, *texts, *out); err != nil {
		fmt.Fprintln(os.Stderr, "deployerpages:", err)
		os.Exit(1)
	}
}

func run(plugins, texts, out string) error {
	pages, err := filepath.Glob(filepath.Join(texts, "*.md"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if err := write(page, filepath.Join(plugins, "delivery-deployer-"+name), filepath.Join(out, "deployer-"+name+".md")); err != nil {
			return fmt.Errorf("page of %s: %w", name, err)
		}
	}
	return nil
}

// write puts the tables where the text has {{connection}} and {{target}}.
func write(text, program, to string) error {
	content, err := os.ReadFile(text)
	if err != nil {
		return err
	}
	described, err := exec.Command(program, "describe").Output()
	if err != nil {
		return fmt.Errorf("%s describe: %w", program, err)
	}
	var description struct {
		Connection *schema `json:"connection_schema"`
		Target     *schema `json:"target_schema"`
	}
	if err := json.Unmarshal(described, &description); err != nil {
		return err
	}
	page := string(content)
	for mark, table := range map[string]*schema{"{{connection}}": description.Connection, "{{target}}": description.Target} {
		page = strings.Replace(page, mark, tableOf(table), 1)
	}
	return os.WriteFile(to, []byte(page), 0o644)
}

// schema is as much of a JSON Schema as tables show.
type schema struct {
	Description string             `json:"description"`
	Type        string             `json:"type"`
	Default     any                `json:"default"`
	Properties  map[string]*schema `json:"properties"`
	Items       *schema            `json:"items"`
	Required    []string           `json:"required"`
	Part        string             `json:"x-delivery-part"`
}

func tableOf(s *schema) string {
	var b strings.Builder
	b.WriteString("| setting | | default | a change is |\n|---|---|---|---|\n")
	if s != nil {
		rows(&b, "", "", s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// rows writes the settings of s, and those of its blocks below them.
func rows(b *strings.Builder, prefix, part string, s *schema) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		own := part
		if prefix == "" {
			own = property.Part
		}
		change := map[string]string{"revision": "a new revision", "target": "no new revision"}[own]
		fallback := "–"
		switch {
		case slices.Contains(s.Required, name):
			fallback = "required"
		case property.Default != nil:
			fallback = fmt.Sprintf("`%v`", property.Default)
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, name, strings.ReplaceAll(property.Description, "|", `\|`), fallback, change)
		for _, inner := range []*schema{property, property.Items} {
			if inner != nil && len(inner.Properties) > 0 {
				rows(b, prefix+name+".", own, inner)
			}
		}
	}
}
