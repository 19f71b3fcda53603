// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// passing tells whether an error may go away by itself.
func passing(err error) bool {
	if status := statusOf(err); status != 0 {
		switch status {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return lostUpload(err)
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lostUpload tells whether a registry lost what it was sent: registries do when
// two clients send it the same blob at once, or forget a session. We know that
// what we send has the digest that we say.
func lostUpload(err error) bool {
	var answered *transport.Error
	if !errors.As(err, &answered) {
		return false
	}
	for _, d := range answered.Errors {
		switch d.Code {
		case transport.DigestInvalidErrorCode, transport.SizeInvalidErrorCode, transport.BlobUploadInvalidErrorCode,
			transport.BlobUploadUnknownErrorCode, transport.ManifestBlobUnknownErrorCode:
			return true
		}
	}
	return false
}

// statusOf is the HTTP status in an error; 0 when there is none.
func statusOf(err error) int {
	var answered *transport.Error
	if errors.As(err, &answered) {
		return answered.StatusCode
	}
	return 0
}

// access explains an error of the registry.
func (r *remote) access(write bool, err error) error {
	var known *AccessError
	var conflict *ConflictError
	if err == nil || errors.As(err, &known) || errors.As(err, &conflict) ||
		errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &AccessError{Location: r.at.String(), Write: write, Reason: ReasonUnreachable, Detail: clean(err.Error()), Err: err}
	host := r.at.Host
	var noLogin loginError
	switch status := statusOf(err); {
	case errors.As(err, &noLogin):
		e.Reason, e.Advice = ReasonDenied, fmt.Sprintf("Repair Docker's configuration, or give the provider a registry block for %s.", host)
	case status != 0:
		e.Detail = fmt.Sprintf("the registry answered %s", answer(err, status))
		e.Reason, e.Advice = explainStatus(status, write, host, r.client.login.given != nil)
	case isCertificate(err):
		e.Advice = fmt.Sprintf("Make this machine trust the authority that signed the certificate of %s.", host)
	case !r.at.PlainHTTP && isPlainAnswer(err):
		e.Advice = fmt.Sprintf("%s does not speak TLS. If that is meant, write the store as %q.", host, "http://"+r.at.path())
	case isName(err):
		e.Advice = fmt.Sprintf("Check the host name %s in the provider's store.", host)
	default:
		e.Advice = fmt.Sprintf("Check that %s is up and can be reached from here.", host)
	}
	return e
}

// explainStatus says what to do about a status; given means that the provider
// has credentials for the host.
func explainStatus(status int, write bool, host string, given bool) (Reason, string) {
	right := "pull from"
	if write {
		right = "push to"
	}
	switch status {
	case http.StatusUnauthorized:
		if given {
			return ReasonDenied, fmt.Sprintf("Check the username and the password of the provider's registry block for %s; the user needs the right to %s this repository.", host, right)
		}
		return ReasonDenied, fmt.Sprintf("Give the provider a registry block for %s, or log in with docker login; the user needs the right to %s this repository.", host, right)
	case http.StatusForbidden:
		return ReasonDenied, fmt.Sprintf("The user that was given for %s needs the right to %s this repository; some registries also want it to be created first.", host, right)
	case http.StatusNotFound:
		return ReasonDenied, "Check the store's name; some registries want a repository to be created first."
	case http.StatusMethodNotAllowed:
		return ReasonReadOnly, fmt.Sprintf("%s takes no writes now: it is read-only or a cache of another registry.", host)
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return ReasonFull, "Make the artifact smaller, or raise the registry's limit."
	}
	return ReasonUnreachable, "Try again later, and look at the registry's own log."
}

// answer is what the registry said, in one line.
func answer(err error, status int) string {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	var answered *transport.Error
	if errors.As(err, &answered) && len(answered.Errors) > 0 {
		d := answered.Errors[0]
		text += fmt.Sprintf(" (%s: %s)", clean(string(d.Code)), clean(d.Message))
	}
	return text
}

// clean makes foreign text fit for a message.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return strings.TrimSpace(s)
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &verification) || errors.As(err, &unknown)
}

func isPlainAnswer(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

func isName(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}
