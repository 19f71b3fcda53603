// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Validate says what is wrong with a probe, as an [Error] of [CodeInvalid],
// without making it. Whoever makes probes asks it first.
func (p Probe) Validate() error {
	kinds := 0
	for _, set := range []bool{p.HTTP != nil, p.TCP != nil, p.GRPC != nil, p.Command != nil} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return invalidProbe("it is of more than one kind")
	}
	switch {
	case p.HTTP != nil:
		return p.HTTP.validate()
	case p.TCP != nil:
		return validAddress(p.TCP.Host, p.TCP.Port)
	case p.GRPC != nil:
		return p.GRPC.validate()
	case p.Command != nil && strings.TrimSpace(p.Command.Command) == "":
		return invalidProbe("its command is empty")
	}
	return nil
}

func (p *HTTPProbe) validate() error {
	if err := validAddress(p.Host, p.Port); err != nil {
		return err
	}
	if p.Scheme != "" && p.Scheme != "http" && p.Scheme != "https" {
		return invalidProbe("its scheme is %q: it must be http or https", p.Scheme)
	}
	if p.Method != "" && !isToken(p.Method) {
		return invalidProbe("its method %q is none of HTTP", p.Method)
	}
	if _, err := p.url(); err != nil {
		return err
	}
	for name, value := range p.Headers {
		if !isToken(name) {
			return invalidProbe("it has a header called %q", name)
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return invalidProbe("the value of its header %s contains a control character", name)
		}
	}
	for _, r := range p.Statuses {
		if r.From < 100 || r.To > 999 || r.From > r.To {
			return invalidProbe("%d to %d is no range of statuses", r.From, r.To)
		}
	}
	if _, err := p.pattern(); err != nil {
		return err
	}
	return p.TLS.validate(p.Scheme == "https")
}

func (p *GRPCProbe) validate() error {
	const longest = 1 << 10
	if err := validAddress(p.Host, p.Port); err != nil {
		return err
	}
	if len(p.Service) > longest || !utf8.ValidString(p.Service) {
		return invalidProbe("its service %.40q is not a name of at most %d bytes", p.Service, longest)
	}
	return p.TLS.validate(p.Secure)
}

func (t *ProbeTLS) validate(secure bool) error {
	if t == nil {
		return nil
	}
	if !secure {
		return invalidProbe("it says how to verify a certificate, but does not use TLS")
	}
	if t.ServerName != "" && !isHost(t.ServerName) {
		return invalidProbe("%q is no name of a server", t.ServerName)
	}
	_, err := t.trust("")
	return err
}

func validAddress(host string, port int) error {
	if host != "" && !isHost(host) {
		return invalidProbe("%q is no host", host)
	}
	if port < 1 || port > 65535 {
		return invalidProbe("%d is no port", port)
	}
	return nil
}

// isHost takes addresses, names, and what people use for names.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return !isLetterOrDigit(r) && !strings.ContainsRune("._-", r)
	})
}

// isToken is the rule for methods and names of headers (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !isLetterOrDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func invalidProbe(format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Step: "check", Message: "the health check cannot be made: " + fmt.Sprintf(format, args...)}
}
