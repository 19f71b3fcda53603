// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package hostdeploy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// callLine writes a call as one line for the agent, whatever its arguments
// hold. The agent has the newline in $nl.
func callLine(function string, args ...string) (string, error) {
	var b strings.Builder
	b.WriteString(function)
	for _, a := range args {
		if strings.IndexByte(a, 0) >= 0 {
			return "", deployer.Errorf(deployer.CodeInvalid, "a value contains the character NUL")
		}
		b.WriteByte(' ')
		b.WriteString(strings.ReplaceAll(quote(a), "\n", `'"$nl"'`))
	}
	return b.String(), nil
}

// quote writes a value in single quotes, as sh reads it back.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// environmentFile writes variables for sh to read back, those in secrets after
// a line that says so. A secret hides a variable of the same name.
func environmentFile(variables, secrets map[string]string) (string, error) {
	var b strings.Builder
	write := func(values map[string]string, skip map[string]string) error {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if _, hidden := skip[name]; hidden {
				continue
			}
			if err := checkVariable(name, values[name]); err != nil {
				return err
			}
			fmt.Fprintf(&b, "export %s=%s\n", name, quote(values[name]))
		}
		return nil
	}
	if err := write(variables, secrets); err != nil {
		return "", err
	}
	b.WriteString(secretsMark)
	if err := write(secrets, nil); err != nil {
		return "", err
	}
	return b.String(), nil
}

const secretsMark = "# secrets\n"

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// reserved names are read-only in some shells.
	reserved = []string{"PPID", "UID", "EUID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO"}
)

func checkVariable(name, value string) error {
	switch {
	case !variableName.MatchString(name):
		return &deployer.Error{Code: deployer.CodeInvalid, Step: "environment",
			Message: fmt.Sprintf("the environment variable %q cannot be set: a name has letters, digits and underscores, and does not begin with a digit", name)}
	case slices.Contains(reserved, name):
		return &deployer.Error{Code: deployer.CodeInvalid, Step: "environment",
			Message: "the environment variable " + name + " cannot be set: shells keep it for themselves"}
	case strings.IndexByte(value, 0) >= 0:
		return &deployer.Error{Code: deployer.CodeInvalid, Step: "environment",
			Message: "the environment variable " + name + " cannot be set: its value contains the character NUL"}
	}
	return nil
}

// secretsIn reads the values after the mark of an environment file. What it
// does not understand it leaves out.
func secretsIn(file string) []string {
	_, rest, found := strings.Cut("\n"+file, "\n"+secretsMark)
	if !found {
		return nil
	}
	var values []string
	for rest != "" {
		begin := strings.Index(rest, "='")
		if begin < 0 {
			break
		}
		value, after, ok := unquote(rest[begin+1:])
		if !ok {
			break
		}
		values = append(values, value)
		rest = strings.TrimPrefix(after, "\n")
	}
	return values
}

// unquote reads one word that quote wrote.
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for {
		if !strings.HasPrefix(s, "'") {
			return "", "", false
		}
		part, after, found := strings.Cut(s[1:], "'")
		if !found {
			return "", "", false
		}
		b.WriteString(part)
		if s, found = strings.CutPrefix(after, `\'`); !found {
			return b.String(), after, true
		}
		b.WriteByte('\'')
	}
}
