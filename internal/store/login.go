// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// helperLimit bounds a credential helper, which may ask a key ring or a cloud.
const helperLimit = 30 * time.Second

// login finds the credentials for one registry: those of the configuration,
// else those that Docker (or Podman) has, else none.
type login struct {
	given *RegistryCredential
	other authn.Keychain
}

// loginError says that the credentials could not be read.
type loginError string

func (e loginError) Error() string { return string(e) }

func newLogin(at Location, credentials []RegistryCredential) login {
	l := login{other: authn.DefaultKeychain}
	for _, c := range credentials {
		if strings.EqualFold(strings.TrimSuffix(c.Host, "/"), at.Host) {
			l.given = &c
		}
	}
	return l
}

func (l login) resolve(ctx context.Context, resource authn.Resource) (authn.Authenticator, error) {
	if l.given != nil {
		return &authn.Basic{Username: l.given.Username, Password: l.given.Password}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, helperLimit)
	defer cancel()
	type answer struct {
		auth authn.Authenticator
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		auth, err := authn.Resolve(ctx, l.other, resource)
		answers <- answer{auth, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, loginError(fmt.Sprintf("read Docker's credentials for %s: %v", resource.RegistryStr(), a.err))
		}
		return a.auth, nil
	case <-ctx.Done():
		return nil, loginError(fmt.Sprintf("read Docker's credentials for %s: the credential helper did not answer within %s", resource.RegistryStr(), helperLimit))
	}
}
