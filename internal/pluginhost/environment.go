// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package pluginhost

import (
	"os"
	"slices"
	"strings"
)

// passed are the variables that deployers see of the provider's environment.
// Everything else stays outside: credentials of other tools, and Terraform's own
// plugin variables, which would break go-plugin.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM",
	"TMPDIR", "TMP", "TEMP", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
	"SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	// Windows cannot start much without these.
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "USERNAME", "APPDATA", "LOCALAPPDATA",
	"PROGRAMDATA", "PROGRAMFILES", "HOMEDRIVE", "HOMEPATH", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE",
}

// Passed says whether deployers see a variable of the provider's environment:
// those for paths, language, time zone, temporary files, proxies, certificates
// and the SSH agent, LC_*, and DELIVERY_DEPLOYER_*, which are for deployers.
func Passed(name string) bool {
	upper := strings.ToUpper(name)
	return slices.Contains(passed, name) ||
		strings.HasPrefix(name, "LC_") ||
		strings.HasPrefix(upper, "DELIVERY_DEPLOYER_") && upper != "DELIVERY_DEPLOYER_PLUGIN" ||
		os.PathSeparator == '\\' && slices.Contains(passed, upper)
}

// environment is what one program gets. It finds its own file, which may run as
// a copy, under DELIVERY_DEPLOYER_PATH.
func environment(from []string, p program) []string {
	if from == nil {
		from = os.Environ()
	}
	var env []string
	for _, variable := range from {
		name, _, ok := strings.Cut(variable, "=")
		if ok && Passed(name) && !strings.EqualFold(name, pathVariable) {
			env = append(env, variable)
		}
	}
	return append(env, pathVariable+"="+p.path)
}

const pathVariable = "DELIVERY_DEPLOYER_PATH"
